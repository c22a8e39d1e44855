// `slipway build --call`: what a Dockerfile says, without building it. And how the findings of a build are shown. Texts
// and JSON are those of docker buildx (spec section 10).
#pragma once

#include <string>

#include "base/error.hpp"
#include "build/build.hpp"
#include "cli/option.hpp"
#include "cli/session.hpp"
#include "dockerfile/check.hpp"
#include "dockerfile/outline.hpp"

namespace slipway::cli {

struct Call {
  enum class Method : unsigned char { kBuild, kCheck, kOutline, kTargets };
  Method method = Method::kBuild;
  bool json = false;
  bool ignore_status = false;  ///< findings do not make the exit code 1
};

/// --call=METHOD[,format=text|json][,ignorestatus=BOOL] and --check. Errors are kUsage.
[[nodiscard]] Result<Call> parse_call(const Arguments& arguments);

/// Answers on standard output. The exit code: 1 when a check has findings. What makes the file unfit for a build is an
/// error.
[[nodiscard]] Result<int> answer_call(Session& session, const build::Request& request, const build::Tools& tools,
                                      const Call& call);

enum class FindingsShown : unsigned char { kNot, kAsText, kAsEvents };
/// How a build shows findings: as text behind its progress, as warnings among JSON lines, not at all with --quiet.
[[nodiscard]] FindingsShown findings_shown(const Session& session, const Arguments& arguments);

/// What a build shows when it is done: " 2 warnings found …" and a line for each; with `debug` also the descriptions
/// and the lines. Empty when there is nothing. Foreign text is made printable.
[[nodiscard]] std::string findings_text(const dockerfile::File& file, const dockerfile::Checked& checked, bool debug);

// The answers as text and as JSON, for tests.
[[nodiscard]] std::string check_text(const dockerfile::File& file, const dockerfile::Checked& checked);
[[nodiscard]] std::string check_json(const dockerfile::File& file, const dockerfile::Checked& checked);
[[nodiscard]] std::string outline_text(const dockerfile::Outline& outline);
[[nodiscard]] std::string outline_json(const dockerfile::File& file, const dockerfile::Outline& outline);
[[nodiscard]] std::string targets_text(const std::vector<dockerfile::Target>& targets);
[[nodiscard]] std::string targets_json(const dockerfile::File& file, const std::vector<dockerfile::Target>& targets);

}  // namespace slipway::cli
