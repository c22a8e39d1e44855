// The small values of EXPOSE, STOPSIGNAL, HEALTHCHECK and the JSON forms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dockerfile/duration.hpp"
#include "dockerfile/json_list.hpp"
#include "dockerfile/port.hpp"
#include "dockerfile/rune.hpp"
#include "dockerfile/signal.hpp"
#include "dockerfile/words.hpp"

namespace slipway::dockerfile {
namespace {

using testing::ElementsAre;

TEST(Duration, IsGos) {
  const struct {
    std::string_view text;
    std::int64_t value;
    std::string_view back;
  } kCases[] = {{"0", 0, "0s"},
                {"-0", 0, "0s"},
                {"5m", 300'000'000'000, "5m0s"},
                {"1s500ms", 1'500'000'000, "1.5s"},
                {"1.5h", 5'400'000'000'000, "1h30m0s"},
                {"-1.5h", -5'400'000'000'000, "-1h30m0s"},
                {"1h2m3s4ms5us6ns", 3'723'004'005'006, "1h2m3.004005006s"},
                {"1µs", 1'000, "1µs"},
                {".5s", 500'000'000, "500ms"},
                {"1.s", 1'000'000'000, "1s"},
                {"1.0000000001s", 1'000'000'000, "1s"},
                {"9223372036854775807ns", INT64_MAX, "2562047h47m16.854775807s"},
                {"-9223372036854775808ns", INT64_MIN, "-2562047h47m16.854775808s"}};
  for (const auto& [text, value, back] : kCases) {
    const auto parsed = parse_duration(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, value) << text;
    EXPECT_EQ(duration_text(value), back);
  }
  EXPECT_EQ(parse_duration("").error().what(), "time: invalid duration \"\"");
  EXPECT_EQ(parse_duration("1").error().what(), "time: missing unit in duration \"1\"");
  EXPECT_EQ(parse_duration("1d").error().what(), "time: unknown unit \"d\" in duration \"1d\"");
  for (const auto* bad : {".s", "s", "-", " 1s", "3000000h", "9223372036854775808ns", "1s 1s", "1e3s"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(Ports, AreExpanded) {
  EXPECT_THAT(*parse_ports({"80", "443/tcp", "53/UDP", "8000-8002/sctp", "80/"}),
              ElementsAre("80/tcp", "443/tcp", "53/udp", "8000/sctp", "8001/sctp", "8002/sctp", "80/tcp"));
  EXPECT_THAT(*parse_ports({"1.2.3.4:1:2", "[::1]::3", "1-2:4-5/udp", "1-9:7"}),
              ElementsAre("2/tcp", "3/tcp", "4/udp", "5/udp", "7/tcp"));
  const struct {
    std::string_view spec, error;
  } kCases[] = {{"abc", "invalid containerPort: abc"},
                {"65536", "invalid containerPort: 65536"},
                {"3-1", "invalid containerPort: 3-1"},
                {"80/foo", "invalid port: \"80/foo\": invalid proto: foo"},
                {"", "invalid port: \"\": no port specified"},
                {"x:2", "invalid hostPort: x"},
                {"1-2:4-6", "invalid ranges specified for container and host Ports: 4-6 and 1-2"},
                {"a.b:1:2", "invalid IP address: a.b"}};
  for (const auto& [spec, error] : kCases) EXPECT_EQ(parse_ports({std::string(spec)}).error().what(), error);
  EXPECT_EQ(parse_ports(std::vector<std::string>(4, "0-65535")).error().code(), Code::kResourceExhausted);
}

TEST(Signals, ByNameAndNumber) {
  EXPECT_EQ(*parse_signal("SIGTERM"), 15);
  EXPECT_EQ(*parse_signal("usr1"), 10);
  EXPECT_EQ(*parse_signal("9"), 9);
  EXPECT_EQ(*parse_signal("RTMIN+3"), 37);
  EXPECT_EQ(*parse_signal("SIGRTMAX-14"), 50);
  for (const std::string bad : {"SIGNOPE", "0", "-1", "65", "", "RTMIN+16", "RTMAX-15", "SIGSIGTERM"}) {
    EXPECT_EQ(parse_signal(bad).error().what(), "invalid signal: " + bad);
  }
}

TEST(JsonList, ReadsWhatGoReads) {
  using Kind = JsonList::Kind;
  EXPECT_THAT(parse_json_list(" [ \"a\" ,\"b\\u00e9\\n\\/\" ] \t").items, ElementsAre("a", "bé\n/"));
  EXPECT_THAT(parse_json_list("[\"\\ud83d\\ude00\\ud800x\xff\"]").items, ElementsAre("😀\ufffdx\ufffd"));
  EXPECT_EQ(parse_json_list("[]").kind, Kind::kStrings);
  for (const auto* other : {"[1]", "[\"a\", null]", "[[]]", "[{\"a\":[1,{}]},true]", "[-1.5e+3]", "[\"a\",{}]"}) {
    EXPECT_EQ(parse_json_list(other).kind, Kind::kNotStrings) << other;
  }
  for (const auto* none : {"", "a", "[", "[\"a\"", "[\"a\",]", "['a']", "[\"a\"] x", "[\"\\q\"]", "[\"\t\"]", "[01]",
                           "[1,]", "[{\"a\"}]", "[{a:1}]", "[}", "[[}]", "{}", "[\"\\ud8\"]", "[1 2]", "[nul]"}) {
    EXPECT_EQ(parse_json_list(none).kind, Kind::kNotJson) << none;
  }
  EXPECT_EQ(parse_json_list(std::string(1'000'000, '[')).kind, Kind::kNotJson);
}

TEST(Words, FlagsAndQuotes) {
  const auto flags = split_flags(" --a=1 --b='x y' --c=\\\"z -- --d rest", '\\');
  EXPECT_THAT(flags.flags, ElementsAre("--a=1", "--b=x y", "--c=\"z"));
  EXPECT_EQ(flags.rest, "--d rest");
  EXPECT_EQ(split_flags("-x --a", '\\').rest, "-x --a");
  EXPECT_THAT(split_quoted("a='b c' \"d e\"=f g\\ h x\"y z\" '\\' i\\", '\\'),
              ElementsAre("a='b c'", "\"d e\"=f", "g\\ h", "x\"y z\"", "'\\'", "i"));
}

TEST(Rune, KnowsUnicodeBlanks) {
  EXPECT_EQ(trim_space("\u00a0 a\u3000b \u2003\t"), "a\u3000b");
  EXPECT_EQ(trim_space("\x80"), "\x80");
  EXPECT_EQ(encoded(decoded("a\xff\u20ac\U0001f600\xe2\x82")), "a\xff\u20ac\U0001f600\xe2\x82");
  EXPECT_THAT(split_blanks("a \t b"), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace slipway::dockerfile
