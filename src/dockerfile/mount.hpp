// Mount: one `--mount` of RUN (spec section 5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "dockerfile/expand.hpp"

namespace slipway::dockerfile {

struct Mount {
  enum class Type : unsigned char { kBind, kCache, kTmpfs, kSecret, kSsh };
  enum class Sharing : unsigned char { kShared, kPrivate, kLocked };
  Type type = Type::kBind;
  std::string target;     ///< as written after expansion; may be relative or empty
  std::string source;     ///< bind, cache: a path below `from`; secret: its id
  std::string from;       ///< bind, cache: stage, named context or image; empty: the build context
  bool read_only = true;  ///< what holds for the type unless it was said
  std::string id;         ///< cache, secret, ssh
  Sharing sharing = Sharing::kShared;
  bool required = false;                        ///< secret, ssh
  std::int64_t size = 0;                        ///< tmpfs: bytes, 0 when not given
  std::optional<std::uint32_t> mode, uid, gid;  ///< cache, secret, ssh
  std::optional<std::string> env;               ///< secret: the variable that gets the value
};

/// Parses the CSV text of one flag. Every value is expanded but `from`, which stages are looked up by before any
/// environment is known. Errors (kInvalidArgument) in BuildKit's words: `unsupported mount type "x"`, `unexpected key
/// 'k' in 'k=v'`, `invalid field 'x' must be a key=value pair`, …
[[nodiscard]] Result<Mount> parse_mount(std::string_view text, char escape, const Lookup& lookup);

/// Only the stage, context or image that a mount names: the value of `from`, or empty. For finding the stages that are
/// needed; errors are left to parse_mount().
[[nodiscard]] std::string mount_source_of(std::string_view text);

}  // namespace slipway::dockerfile
