// --cache-from and --cache-to: caches that travel between machines, as buildx writes them (spec/dockerfile.md
// section 12). inline, registry and local are used; gha, s3 and azblob are read, mistakes in them are errors, and a
// warning names each: it never fails a build.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "build/cache_request.hpp"
#include "registry/credentials.hpp"

namespace slipway::cli {

enum class CacheWay : unsigned char { kFrom, kTo };

/// What the values of one option say.
struct Caches {
  std::vector<build::CacheSource> sources;
  std::vector<build::CacheTarget> targets;
  std::vector<std::string> notes;  ///< warnings: what is not used, and why
};

/// Adds one value of the option to `caches`. Credentials are not among what is told. `environment` is where s3 and
/// azblob may have their places from. Errors are kUsage.
[[nodiscard]] Status parse_cache(CacheWay way, std::string_view text, const registry::Environment& environment,
                                 Caches& caches);

}  // namespace slipway::cli
