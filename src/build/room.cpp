#include "build/room.hpp"

#include <sys/statvfs.h>

#include <limits>

#include "base/text.hpp"

namespace slipway::build {
namespace {

std::int64_t free_bytes(const std::string& directory) {
  struct statvfs info{};
  if (::statvfs(directory.c_str(), &info) < 0) return std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(info.f_bavail * info.f_frsize);
}

}  // namespace

Room::Room(const std::string& directory) : left_(free_bytes(directory)) {}

Status Room::take(std::int64_t bytes, const std::string& name) {
  std::int64_t left = left_.load();
  do {
    if (bytes > left)
      return fail(Code::kResourceExhausted, "{} has {}; the store's disk has {} free", quoted(name), human_size(bytes),
                  human_size(left));
  } while (!left_.compare_exchange_weak(left, left - bytes));
  return {};
}

}  // namespace slipway::build
