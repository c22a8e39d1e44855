#include "layer/entry_path.hpp"

#include <gtest/gtest.h>

namespace slipway::layer {
namespace {

TEST(CleanPath, IsLexicalAndStaysInside) {
  EXPECT_EQ(*clean_path("./a//b/./c/", {}), "a/b/c");
  EXPECT_EQ(*clean_path("/etc/passwd", {}), "etc/passwd");
  EXPECT_EQ(*clean_path("a/../b", {}), "b");
  EXPECT_EQ(*clean_path("a/b/../..", {}), "");
  EXPECT_EQ(*clean_path(".", {}), "");
  EXPECT_EQ(*clean_path("", {}), "");
  EXPECT_EQ(*clean_path("...", {}), "...");
}

TEST(CleanPath, RefusesWhatLeavesOrIsTooLong) {
  for (const char* path : {"..", "../x", "/../x", "a/../../x", "./..", "a/b/../../../c"})
    EXPECT_EQ(clean_path(path, {}).error().code(), Code::kInvalidArgument) << path;
  EXPECT_TRUE(clean_path(std::string(255, 'n'), {}));
  EXPECT_EQ(clean_path(std::string(256, 'n'), {}).error().code(), Code::kOutOfRange);
  std::string deep;
  for (int i = 0; i < 2049; ++i) deep += "d/";
  EXPECT_EQ(clean_path(deep, {}).error().code(), Code::kOutOfRange);
}

}  // namespace
}  // namespace slipway::layer
