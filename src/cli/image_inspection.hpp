// ImageInspection: an image as `docker inspect` and `docker history` describe it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/image_list.hpp"
#include "cli/table.hpp"
#include "cli/value.hpp"
#include "image/image.hpp"

namespace slipway::cli {

/// Docker's image JSON (Id, RepoTags, RepoDigests, …, RootFS). `names` are canonical references of the image.
[[nodiscard]] Value inspection_of(const image::Details& details, const std::vector<std::string>& names);

enum class Human : unsigned char { kNo, kYes };
/// Rows of `docker history`, newest first. `layer_sizes`: bytes of each layer, lowest first.
[[nodiscard]] std::vector<Value> history_rows(const image::Details& details,
                                              const std::vector<std::int64_t>& layer_sizes, std::int64_t now,
                                              Truncate truncate, Human human);
[[nodiscard]] TableShape history_table();

}  // namespace slipway::cli
