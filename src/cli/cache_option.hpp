// --cache-from and --cache-to: caches that travel between machines, as buildx writes them (spec/dockerfile.md
// section 12). This version has none: what was built is found in the store. So the whole grammar is read, mistakes are
// errors, and everything else is a warning that names the cache; it never fails a build.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "registry/credentials.hpp"

namespace slipway::cli {

enum class CacheWay : unsigned char { kFrom, kTo };

/// One value of the option as the names of caches, fit for a warning: "type=registry,ref=…", "type=local,src=…".
/// Credentials are not among what is told. `environment` is where s3 and azblob may have their places from. Errors are
/// kUsage.
[[nodiscard]] Result<std::vector<std::string>> parse_cache(CacheWay way, std::string_view text,
                                                           const registry::Environment& environment);

/// The warning for a cache that parse_cache() named.
[[nodiscard]] std::string cache_note(CacheWay way, std::string_view cache);

}  // namespace slipway::cli
