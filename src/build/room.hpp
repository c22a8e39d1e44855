// Room on the store's disk for what says how large it is before it is read. A sparse file, in a context or in an
// archive, costs its author nothing, while a key and a layer read and write all of what it claims to have: a terabyte
// of holes would keep a build busy for hours before the disk is full.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/error.hpp"

namespace slipway::build {

class Room {
 public:
  /// The free bytes of the file system that holds `directory`. Where the kernel does not tell, there is always room.
  explicit Room(const std::string& directory);
  /// Takes `bytes` for `name`, once for each file: many that fit alone may not fit together. Thread safe. Errors:
  /// kResourceExhausted.
  [[nodiscard]] Status take(std::int64_t bytes, const std::string& name);

 private:
  std::atomic<std::int64_t> left_;
};

}  // namespace slipway::build
