#include "cli/printable.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

TEST(Printable, KeepsLinesAndTabsEscapesTheRest) {
  EXPECT_EQ(printable_text("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(printable_text("\x1b]0;title\x07\r\x7f"), "\\x1b]0;title\\x07\\x0d\\x7f");
  EXPECT_EQ(printable_text("\xc2\x9b"
                           "31m \xe2\x80\xae \xff"),
            "\\u{9b}31m \\u{202e} \\xff");
  EXPECT_EQ(printable_text("grün 漢"), "grün 漢");
}

TEST(Printable, ColoursPassOnlyWhereAllowedAndOnlyWholeOnes) {
  EXPECT_EQ(printable_text("\x1b[31mred\x1b[0m"), "red");
  EXPECT_EQ(printable_text("\x1b[31mred\x1b[0m", Colours::kKeep), "\x1b[31mred\x1b[0m");
  EXPECT_EQ(printable_text("\x1b[1;38:5:9mred", Colours::kKeep), "\x1b[1;38:5:9mred\x1b[0m");
  EXPECT_EQ(printable_text("\x1b[2Jx\x1b[3", Colours::kKeep), "\\x1b[2Jx\\x1b[3");
  EXPECT_EQ(printable_text("\x1b[" + std::string(100, '1') + "m", Colours::kKeep),
            "\\x1b[" + std::string(100, '1') + "m");
}

TEST(Printable, Columns) {
  EXPECT_EQ(columns_of("abc"), 3u);
  EXPECT_EQ(columns_of("漢字"), 4u);
  EXPECT_EQ(columns_of("e\xcc\x81"), 1u);  // e and a combining accent
  EXPECT_EQ(columns_of("\x1b[31mab\x1b[0m"), 2u);
}

TEST(Printable, CutsToColumns) {
  EXPECT_EQ(cut_to_columns("abcdef", 3), "abc");
  EXPECT_EQ(cut_to_columns("漢字", 3), "漢");
  EXPECT_EQ(cut_to_columns("a\tb", 3), "a b");
  EXPECT_EQ(cut_to_columns("\x1b[31mabc", 2), "\x1b[31mab\x1b[0m");
}

}  // namespace
}  // namespace slipway::cli
