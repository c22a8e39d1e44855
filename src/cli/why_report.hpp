// What `slipway why` shows: which build is meant, which of its steps, and both as text and JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "build/build_account.hpp"
#include "cli/image_list.hpp"
#include "cli/value.hpp"
#include "store/store.hpp"

namespace slipway::cli {

/// "[2/5]", "2/5", "[build 2/5]" or "build 2/5": the place of a step, and nothing else.
[[nodiscard]] bool is_step_place(std::string_view text);

/// Whether `text` means this step: its place (without a stage: of any stage), or a part of what it shows, in any case.
[[nodiscard]] bool means_step(std::string_view text, const build::StepAccount& step);

/// Whether `text` is the beginning (6 digits at least) of a digest of the image that the build made.
[[nodiscard]] bool means_image(std::string_view text, const store::BuildNote& build);

/// A line a step: "[2/5] COPY src /src   ran: src/app.js changed".
[[nodiscard]] std::string why_text(const std::vector<build::StepAccount>& steps, Truncate truncate);

/// The document of --format json; `names` are those that the image has now.
[[nodiscard]] Value why_document(const store::BuildNote& build, const std::vector<std::string>& names,
                                 const std::vector<build::StepAccount>& steps);

}  // namespace slipway::cli
