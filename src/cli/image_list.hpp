// ImageList: what `slipway images` shows, filters and sorts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "cli/table.hpp"
#include "cli/value.hpp"
#include "oci/reference.hpp"

namespace slipway::cli {

struct ListedImage {
  std::optional<oci::Reference> reference;  ///< nothing: dangling
  std::string id;                           ///< "sha256:…", docker's image id
  std::string digest;                       ///< "sha256:…" of the manifest or index
  std::optional<std::int64_t> created;      ///< seconds since the epoch
  std::int64_t size = 0;
  std::map<std::string, std::string> labels;
};

/// Go's path.Match: * and ? stop at "/", [a-z] and [^a], \ quotes. A broken pattern matches nothing.
[[nodiscard]] bool path_match(std::string_view pattern, std::string_view text);

class ImageFilter {
 public:
  /// "reference=app*", "dangling=true", "label=k[=v]", "before=IMAGE", "since=IMAGE". kUsage for others.
  [[nodiscard]] Status add(std::string_view text);
  /// The images that pass all filters (any of several references), newest first.
  [[nodiscard]] Result<std::vector<ListedImage>> apply(std::vector<ListedImage> images) const;

 private:
  std::vector<std::string> references_, labels_;
  std::optional<bool> dangling_;
  std::optional<std::string> before_, since_;
};

enum class Truncate : unsigned char { kNo, kYes };
/// "3 weeks ago", or "N/A".
[[nodiscard]] std::string ago(std::optional<std::int64_t> created, std::int64_t now);
/// Time as Go prints it: "2023-11-14 22:13:20 +0000 UTC".
[[nodiscard]] std::string go_time(std::int64_t seconds);
/// "sha256:…", or docker's twelve digits of it.
[[nodiscard]] std::string shown_id(std::string_view digest, Truncate truncate);

[[nodiscard]] Value row_of(const ListedImage& image, std::int64_t now, Truncate truncate);
[[nodiscard]] TableShape image_table(bool digests);

}  // namespace slipway::cli
