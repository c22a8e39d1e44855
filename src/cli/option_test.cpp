#include "cli/option.hpp"

#include <gtest/gtest.h>

#include "cli/command.hpp"

namespace slipway::cli {
namespace {

const std::vector<Option>& options() {
  static const std::vector<Option> all = {{.name = "tag", .letter = 't', .takes = Takes::kValues, .value = "NAME"},
                                          {.name = "target", .takes = Takes::kValue, .value = "STAGE"},
                                          {.name = "quiet", .letter = 'q'},
                                          {.name = "all", .letter = 'a'},
                                          {.name = "pull"}};
  return all;
}

struct Case {
  std::vector<std::string> words;
  std::string expect;  // given options and arguments as one text, or the error
};

std::string parsed(const std::vector<std::string>& words) {
  Arguments arguments;
  const auto read = parse_options(options(), words, Positional::kMixed, "slipway x", arguments);
  if (!read) return "error: " + read.error().what();
  std::string out;
  for (const auto& option : options()) {
    for (const auto& value : arguments.values(option.name)) out += std::string(option.name) + "=" + value + " ";
  }
  for (const auto& word : arguments.positional()) out += "[" + word + "]";
  return out;
}

TEST(Options, DockersWaysToWriteThem) {
  const std::vector<Case> cases = {
      {{}, ""},
      {{"-t", "a", "--tag", "b", "--tag=c", "-td", "-t=e"}, "tag=a tag=b tag=c tag=d tag=e "},
      {{".", "-q", "--target", "x"}, "target=x quiet=true [.]"},
      {{"-aq", "."}, "quiet=true all=true [.]"},
      {{"-qt", "a"}, "tag=a quiet=true "},
      {{"--pull=false"}, "pull=false "},
      {{"--pull=1", "-q=false"}, "quiet=false pull=true "},
      {{"-", "--", "-q", "--tag"}, "[-][-q][--tag]"},
      {{"--target="}, "target= "},
      {{"-t", "--target"}, "tag=--target "},
      {{"--taget", "x"}, "error: unknown option --taget of slipway x; did you mean --target?"},
      {{"--tags", "x"}, "error: unknown option --tags of slipway x; did you mean --tag?"},
      {{"--xyz"}, "error: unknown option --xyz of slipway x"},
      {{"-z"}, "error: unknown option -z of slipway x"},
      {{"-qz"}, "error: unknown option -z of slipway x"},
      {{"--tag"}, "error: option --tag of slipway x needs a value"},
      {{"-t"}, "error: option -t of slipway x needs a value"},
      {{"--pull=maybe"}, "error: option --pull is true or false, not \"maybe\""},
      {{"--ta\x1b[2Jg"}, "error: unknown option --ta\\x1b[2Jg of slipway x"},
  };
  for (const auto& each : cases) EXPECT_EQ(parsed(each.words), each.expect);
}

TEST(Options, ErrorsAreUsage) {
  Arguments arguments;
  const auto read = parse_options(options(), {"--nope"}, Positional::kMixed, "slipway x", arguments);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), Code::kUsage);
  EXPECT_EQ(read.error().hint(), "'slipway x --help' lists the options");
}

Result<int> nothing(Session&, const Arguments&) { return 0; }

const std::vector<const Command*>& commands() {
  static const Command build = {
      .name = "build", .arguments = "PATH", .options = options(), .least = 1, .most = 1, .run = nothing};
  static const Command images = {.name = "images", .most = 1, .run = nothing};
  static const Command version = {.name = "version", .run = nothing};
  static const std::vector<const Command*> all = {&build, &images, &version};
  return all;
}

std::string line_of(const std::vector<std::string>& words) {
  const auto line = parse_command_line(commands(), words);
  if (!line) return "error: " + line.error().what();
  std::string out(line->command == nullptr ? "-" : line->command->name);
  for (const char* name : {"root", "debug", "help", "tag"})
    for (const auto& value : line->arguments.values(name)) out += fmt::format(" {}={}", name, value);
  for (const auto& word : line->arguments.positional()) out += " [" + word + "]";
  return out;
}

TEST(CommandLine, GlobalOptionsStandBeforeOrAfterTheCommand) {
  EXPECT_EQ(line_of({"--root", "/r", "build", "."}), "build root=/r [.]");
  EXPECT_EQ(line_of({"build", ".", "--root=/r", "--debug"}), "build root=/r debug=true [.]");
  EXPECT_EQ(line_of({"--root=/r", "--debug", "build", "-t", "a", "."}), "build root=/r debug=true tag=a [.]");
  EXPECT_EQ(line_of({"--root", "/a", "build", ".", "--root", "/b"}), "build root=/a root=/b [.]");
}

TEST(CommandLine, HelpAndVersion) {
  EXPECT_EQ(line_of({}), "-");
  EXPECT_EQ(line_of({"--help"}), "- help=true");
  EXPECT_EQ(line_of({"-h"}), "- help=true");
  EXPECT_EQ(line_of({"build", "--help"}), "build help=true");
  EXPECT_EQ(line_of({"build", "-h", "a", "b", "--nope"}), "build help=true");
  EXPECT_EQ(line_of({"--version"}), "version");
  EXPECT_EQ(line_of({"-v"}), "version");
}

TEST(CommandLine, Mistakes) {
  EXPECT_EQ(line_of({"biuld", "."}), "error: \"biuld\" is not a command of slipway; did you mean build?");
  EXPECT_EQ(line_of({"zzz"}), "error: \"zzz\" is not a command of slipway");
  EXPECT_EQ(line_of({"--rot", "/r", "build"}), "error: unknown option --rot of slipway; did you mean --root?");
  EXPECT_EQ(line_of({"build"}), "error: slipway build takes exactly 1 argument, 0 were given");
  EXPECT_EQ(line_of({"build", "a", "b"}), "error: slipway build takes exactly 1 argument, 2 were given");
  EXPECT_EQ(line_of({"images", "a", "b"}), "error: slipway images takes at most 1 argument, 2 were given");
  EXPECT_EQ(line_of({"version", "a"}), "error: slipway version takes no arguments, 1 were given");
}

}  // namespace
}  // namespace slipway::cli
