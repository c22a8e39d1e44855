#include "cli/why_report.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/printable.hpp"
#include "cli/table.hpp"

namespace slipway::cli {
namespace {

using Ended = build::StepAccount::Ended;

constexpr std::size_t kNameColumns = 60;
constexpr std::size_t kLeastDigits = 6;

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string_view without_brackets(std::string_view text) {
  text = trim(text);
  return text.size() > 2 && text.front() == '[' && text.back() == ']' ? text.substr(1, text.size() - 2) : text;
}

/// "build 2/5" of "[build 2/5] RUN make"; empty when the step has no place.
std::string_view place_of(const build::StepAccount& step) {
  const std::string_view name = step.name;
  const auto end = name.find("] ");
  return name.starts_with('[') && end != std::string_view::npos ? name.substr(1, end - 1) : std::string_view();
}

const char* word(Ended ended) {
  switch (ended) {
    case Ended::kCached:
      return "cached";
    case Ended::kRan:
      return "ran";
    case Ended::kFailed:
      return "failed";
    case Ended::kStopped:
      return "stopped";
  }
  return "";
}

Value reason_document(const build::StepReason& reason) {
  Value::Object out = {{"kind", reason.kind}, {"name", reason.name}, {"text", reason.text}};
  if (!reason.mount.empty()) out.emplace_back("mount", reason.mount);
  if (!reason.follows.empty()) out.emplace_back("follows", reason.follows);
  return out;
}

Value digest_or_null(const std::optional<oci::Digest>& digest) { return digest ? Value(digest->text()) : Value(); }

}  // namespace

bool is_step_place(std::string_view text) {
  std::string_view place = without_brackets(text);
  if (const auto blank = place.rfind(' '); blank != std::string_view::npos) place.remove_prefix(blank + 1);
  const auto slash = place.find('/');
  return slash != std::string_view::npos && is_number(place.substr(0, slash)) && is_number(place.substr(slash + 1));
}

bool means_step(std::string_view text, const build::StepAccount& step) {
  if (is_step_place(text)) {
    const std::string wanted = lower(without_brackets(text));
    const std::string place = lower(place_of(step));
    return place == wanted || place.ends_with(" " + wanted);
  }
  return lower(step.name).contains(lower(trim(text)));
}

bool means_image(std::string_view text, const store::BuildNote& build) {
  if (text.starts_with("sha256:")) text.remove_prefix(7);
  if (text.size() < kLeastDigits) return false;
  return (build.manifest && build.manifest->hex().starts_with(text)) ||
         (build.config && build.config->hex().starts_with(text));
}

std::string why_text(const std::vector<build::StepAccount>& steps, Truncate truncate) {
  std::string lines;
  for (const auto& step : steps) {
    std::string name = printable(step.name);
    if (truncate == Truncate::kYes && columns_of(name) > kNameColumns)
      name = cut_to_columns(name, kNameColumns - 1) + "…";
    lines += name + "\t" + word(step.ended);
    if (step.ended != Ended::kCached) lines += ": " + printable(step.reason.text);
    lines += "\n";
  }
  return align_columns(lines);
}

Value why_document(const store::BuildNote& build, const std::vector<std::string>& names,
                   const std::vector<build::StepAccount>& steps) {
  Value::Array list;
  for (const auto& step : steps) {
    const bool hit = step.ended == Ended::kCached;
    list.emplace_back(Value::Object{{"step", step.name},
                                    {"stage", step.stage},
                                    {"number", static_cast<std::int64_t>(step.place)},
                                    {"instruction", build::take_apart(step.name).text},
                                    {"result", hit ? "hit" : "miss"},
                                    {"ended", word(step.ended)},
                                    {"reason", hit ? Value() : reason_document(step.reason)}});
  }
  return Value::Object{{"build", Value::Object{{"time", rfc3339({build.made, 0})},
                                               {"done", build.manifest.has_value()},
                                               {"manifest", digest_or_null(build.manifest)},
                                               {"config", digest_or_null(build.config)},
                                               {"names", Value::of(names)}}},
                       {"steps", std::move(list)}};
}

}  // namespace slipway::cli
