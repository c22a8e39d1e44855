// What the tests of this folder stand on: a root of their own, and ways to break it.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "store/sqlite.hpp"
#include "store/test_image.hpp"

namespace slipway::store {

using testing::kScope;
using testing::StoredImage;

/// Rounds of a heavy loop; SLIPWAY_STORE_ROUNDS multiplies them for a long run.
inline std::uint64_t rounds(std::uint64_t usual) {
  const char* factor = std::getenv("SLIPWAY_STORE_ROUNDS");
  return factor == nullptr ? usual : usual * std::strtoull(factor, nullptr, 10);
}

struct StoreTest : ::testing::Test {
  sys::TempDir dir = *sys::TempDir::make("/tmp", "slipway-store-test-");
  std::string root = dir.path() + "/root";

  Store open(std::int64_t max_size = 0) {
    auto store = Store::open(root, {.create = true, .max_size = max_size, .remove_tree = {}});
    EXPECT_TRUE(store) << store.error().message();
    return *std::move(store);
  }
  std::string blob_path(const oci::Digest& digest) const { return root + "/blobs/sha256/" + digest.hex(); }
  static bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }
  static std::vector<std::string> list(const std::string& path) {
    const auto fd = sys::open(path, O_RDONLY | O_DIRECTORY);
    return fd ? *sys::list_directory(fd->get(), path) : std::vector<std::string>();
  }
  static std::vector<std::string> problems(Store& store, bool repair = false) {
    std::vector<std::string> out;
    const auto found = store.fsck(repair, Cancel());
    if (!found) return {"error: " + found.error().message()};
    for (const auto& finding : *found) out.push_back(finding.object + " " + finding.problem);
    return out;
  }
  static void overwrite(const std::string& path, std::int64_t offset, std::string_view bytes) {
    ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
    const sys::Fd file = *sys::open(path, O_RDWR);
    ASSERT_TRUE(sys::write_all_at(file.get(), bytes, offset));
  }
  static StoredImage image(Store& store, const Lease& lease, std::uint64_t seed) {
    return *testing::store_image(store, lease, *testing::seed_tars(seed));
  }
};

}  // namespace slipway::store
