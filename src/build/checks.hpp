// Build checks and outlines of a request: the facts that dockerfile/check.hpp and outline.hpp need, from the request,
// the context's ignore file and the images that are in the store.
#pragma once

#include <functional>

#include "base/error.hpp"
#include "build/build.hpp"
#include "build/context_source.hpp"
#include "dockerfile/check.hpp"
#include "dockerfile/dockerfile.hpp"

namespace slipway::build {

/// All arguments outlive the answer. Base images are looked up in the store and nowhere else.
[[nodiscard]] dockerfile::CheckFacts check_facts(const Request& request, const ContextFolder& folder,
                                                 const Tools& tools);

/// Looks at what a build of the target is made of and hands the findings to `tools.checked`. Errors: wrong options of
/// the checks, and `lint violation found for rules: …` when they ask for that.
[[nodiscard]] Status run_checks(const dockerfile::File& file, const Request& request, const ContextFolder& folder,
                                const Tools& tools);

/// Gets the context and the Dockerfile as build() does, hands the file and its facts to `use`, and builds nothing: no
/// base image is fetched and no sandbox is made.
[[nodiscard]] Status inspect(const Request& request, const Tools& tools, progress::Sink& sink, const Cancel& cancel,
                             const std::function<Status(const dockerfile::File&, const dockerfile::CheckFacts&)>& use);

}  // namespace slipway::build
