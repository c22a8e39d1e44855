#include "dockerfile/expand.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "dockerfile/pattern.hpp"

namespace slipway::dockerfile {
namespace {

using testing::ElementsAre;

std::optional<std::string> lookup(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> kEnvironment = {
      {"x", "val"},    {"s", "set"},  {"e", ""},      {"p", "foo.tar.gz"}, {"d", "/a/b/c"},
      {"b", " a  b "}, {"n", "a\nb"}, {"t", "a*b?c"}, {"u8", "äöü"},       {"bs", "a\\b"},
  };
  const auto found = kEnvironment.find(name);
  if (found == kEnvironment.end()) return {};
  return found->second;
}

std::string word(std::string_view text, char escape = '\\') {
  const auto expanded = expand_word(text, escape, lookup);
  return expanded ? *expanded : "error: " + expanded.error().what();
}

struct Case {
  std::string_view text, expected;
};

TEST(ExpandWord, EveryForm) {
  constexpr Case kCases[] = {
      // the conformance case subst-forms
      {"${s:-w}", "set"},
      {"${e:-w}", "w"},
      {"${u:-w}", "w"},
      {"${s-w}", "set"},
      {"${e-w}", ""},
      {"${u-w}", "w"},
      {"${s:+w}", "w"},
      {"${e:+w}", ""},
      {"${u:+w}", ""},
      {"${s+w}", "w"},
      {"${e+w}", "w"},
      {"${u+w}", ""},
      {"${p%.*}", "foo.tar"},
      {"${p%%.*}", "foo"},
      {"${p#*.}", "tar.gz"},
      {"${p##*.}", "gz"},
      {"${d##*/}", "c"},
      {"${d%/*}", "/a/b"},
      {"${d/b/X}", "/a/X/c"},
      {"${d////_}", "/_//_a/_//_b/_//_c/_"},
      {"${p/o/0}", "f0o.tar.gz"},
      {"${p//o/0}", "f00.tar.gz"},
      {"${p/f*r/Z}", "Z.gz"},
      {"${p/?o/Y}", "Yo.tar.gz"},
      {"${u:-${s:-deep}}", "set"},
      {"${u:-$p}", "foo.tar.gz"},
      {"${s:?no}", "set"},
      {"${p%$u}", "foo.tar.gz"},
      // names
      {"$x", "val"},
      {"${x}", "val"},
      {"$xy", ""},
      {"a${x}b$x c", "avalbval c"},
      {"$", "$"},
      {"$$", ""},
      {"$$x", "x"},
      {"$1a", "a"},
      {"$12a", "a"},
      {"$@a", "a"},
      {"${12}", ""},
      {"${@}", ""},
      {"$(x)", "$(x)"},
      {"$.", "$."},
      // words within braces
      {"${u-'}'}", "}"},
      {"${u-\"}\"}", "}"},
      {"${u-\\}}", "}"},
      {"${u- a  b }", " a  b "},
      {"${u:-\\$x}", "$x"},
      {"${x:+${p%.gz}}", "foo.tar"},
      // patterns
      {"${d//\\//_}", "_a_b_c"},
      {"${t#a\\*}", "b?c"},
      {"${t%\\?c}", "a*b"},
      {"${bs#a\\\\}", "b"},
      {"${bs/\\\\/Z}", "aZb"},
      {"${x%%*}", ""},
      {"${x##*}", ""},
      {"${x#*}", "val"},
      {"${x%*}", "val"},
      {"${x/[a]/b}", "val"},
      {"${x//a/}", "vl"},
      {"${x/*/b}", "b"},
      {"${e//*/b}", "b"},
      {"${x#\"v\"}", "al"},
      {"${u8#?}", "öü"},
      {"${u8%?}", "äö"},
      {"${u8//?/x}", "xxx"},
      {"${n#*b}", "a\nb"},
      {"${n//?/X}", "X\nX"},
      {"${u/a/b}", ""},
      {"${u///b}", "b"},
  };
  for (const auto& [text, expected] : kCases) EXPECT_EQ(word(text), expected) << text;
}

TEST(ExpandWord, Quotes) {
  constexpr Case kCases[] = {
      // the conformance case subst-quotes
      {"\"$x\"", "val"},
      {"'$x'", "$x"},
      {"\\$x", "$x"},
      {"\"\\$x\"", "$x"},
      {"\"a'b\"", "a'b"},
      {"'a\"b'", "a\"b"},
      {"a\\ b", "a b"},
      {"\"q\\\"q\"", "q\"q"},
      {"\"\\n\"", "\\n"},
      {"\\n", "n"},
      {"\"$\"", "$"},
      {"\"two  spaces\"", "two  spaces"},
      {"two\\ \\ spaces", "two  spaces"},
      {"a\\", "a"},
      {"\"\\\\\"", "\\"},
      {"\"quoted rest\" tail", "quoted rest tail"},
      {"''", ""},
      {"", ""},
  };
  for (const auto& [text, expected] : kCases) EXPECT_EQ(word(text), expected) << text;
  EXPECT_EQ(word("C:\\dir\\x", '`'), "C:\\dir\\x");
  EXPECT_EQ(word("a`$b", '`'), "a$b");
}

TEST(ExpandWord, Errors) {
  constexpr Case kCases[] = {
      {"${", "failed to process \"${\": syntax error: missing '}'"},
      {"${x", "failed to process \"${x\": syntax error: missing '}'"},
      {"${x:", "failed to process \"${x:\": syntax error: missing '}'"},
      {"${x:-a", "failed to process \"${x:-a\": syntax error: missing '}'"},
      {"${u-\"", "failed to process \"${u-\\\"\": syntax error: missing '}'"},
      {"${}", "failed to process \"${}\": syntax error: bad substitution"},
      {"${{", "failed to process \"${{\": syntax error: bad substitution"},
      {"${:}", "failed to process \"${:}\": syntax error: bad substitution"},
      {"${x!}", "failed to process \"${x!}\": unsupported modifier (!) in substitution"},
      {"${x:#a}", "failed to process \"${x:#a}\": unsupported modifier (:#) in substitution"},
      {"${x:%a}", "failed to process \"${x:%a}\": unsupported modifier (:%) in substitution"},
      {"${x:1}", "failed to process \"${x:1}\": unsupported modifier (:1) in substitution"},
      {"${x/a}", "failed to process \"${x/a}\": syntax error: missing '/' in ${}"},
      {"${x/a/b", "failed to process \"${x/a/b\": syntax error: missing '}'"},
      {"${e:?}", "failed to process \"${e:?}\": e: is not allowed to be empty"},
      {"${u:?}", "failed to process \"${u:?}\": u: is not allowed to be unset"},
      {"${u?}", "failed to process \"${u?}\": u: is not allowed to be unset"},
      {"${u?need $x}", "failed to process \"${u?need $x}\": u: need val"},
      {"'a", "failed to process \"'a\": unexpected end of statement while looking for matching single-quote"},
      {"\"abc", "failed to process \"\\\"abc\": unexpected end of statement while looking for matching double-quote"},
      {"${x#\\q}", "failed to process \"${x#\\\\q}\": invalid pattern (\\q) in substitution: invalid escape '\\q'"},
  };
  for (const auto& [text, expected] : kCases) EXPECT_EQ(word(text), "error: " + std::string(expected)) << text;
}

TEST(ExpandWords, SplitsAtBlanksOutsideQuotes) {
  const auto words = [](std::string_view text) { return *expand_words(text, '\\', lookup); };
  EXPECT_THAT(words(" 80  $b'c d'\\ e \"\" "), ElementsAre("80", "a", "b", "c d e"));
  EXPECT_THAT(words("$e"), ElementsAre());
  EXPECT_THAT(words("\"$b\""), ElementsAre(" a  b "));
}

TEST(ExpandBody, KeepsQuotes) {
  EXPECT_EQ(*expand_body("\"$x\" '$x' \\$x ${u:-w}\n", lookup), "\"val\" 'val' $x w\n");
  EXPECT_EQ(*expand_body("a\\\\b\n", lookup), "a\\b\n");
}

TEST(Expand, HasLimits) {
  std::string nested, end;
  for (int i = 0; i < 50; ++i) nested += "${u:-", end += "}";
  EXPECT_EQ(word(nested + "deep" + end), "deep");
  for (int i = 0; i < 200'000; ++i) nested += "${u:-";
  EXPECT_EQ(expand_word(nested, '\\', lookup).error().code(), Code::kResourceExhausted);
  const std::string big(1 << 20, 'a');
  const Lookup large = [&](std::string_view) { return big; };
  std::string many;
  for (int i = 0; i < 16; ++i) many += "$v";
  EXPECT_EQ(expand_word(many, '\\', large)->size(), kWordLimit);
  for (const std::string& text : {many + "$v", "\"" + many + "$v\"", std::string("${v//a/1234567890abcdefg}")}) {
    EXPECT_EQ(expand_word(text, '\\', large).error().code(), Code::kResourceExhausted);
  }
  EXPECT_EQ(expand_words(many + "$v", '\\', large).error().code(), Code::kResourceExhausted);
}

TEST(Pattern, DoesNotBacktrack) {
  const std::string value(10'000, 'a');
  std::string hostile;
  for (int i = 0; i < 30; ++i) hostile += "*a";
  hostile += "b";
  const auto pattern = Pattern::parse(hostile);
  EXPECT_EQ(*pattern->without_prefix(value, Pattern::Length::kLongest), value);
  EXPECT_EQ(*pattern->replaced(value, "x", true, kWordLimit), value);
  // beyond the budget it gives up rather than burn a core
  const auto slow = Pattern::parse("a*a*b");
  EXPECT_EQ(slow->replaced(std::string(1 << 20, 'a'), "x", true, kWordLimit).error().code(), Code::kResourceExhausted);
}

TEST(Pattern, KeepsBytesThatAreNoText) {
  EXPECT_EQ(*Pattern::parse("a")->without_prefix("a\xff\xfe", Pattern::Length::kShortest), "\xff\xfe");
  EXPECT_EQ(*Pattern::parse("\xff")->replaced("a\xff", "b", true, 100), "ab");
}

}  // namespace
}  // namespace slipway::dockerfile
