#include "dockerfile/dockerfile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dockerfile/expand.hpp"
#include "dockerfile/expand_instruction.hpp"

namespace slipway::dockerfile {
namespace {

using testing::ElementsAre;

File parsed(std::string_view text) {
  auto file = parse(text, "Dockerfile");
  EXPECT_TRUE(file) << text << "\n" << (file ? "" : file.error().what());
  return file ? *std::move(file) : File{};
}

std::string error_of(std::string_view text) {
  const auto file = parse(text, "Dockerfile");
  return file ? "(no error)" : file.error().what();
}

// The instruction number `index` of the only stage.
template <class T>
T only(std::string_view text, std::size_t index = 0) {
  const File file = parsed(text);
  if (file.stages.size() != 1 || file.stages[0].instructions.size() <= index) {
    ADD_FAILURE() << "no instruction " << index << " in " << text;
    return {};
  }
  const T* found = std::get_if<T>(&file.stages[0].instructions[index]);
  EXPECT_NE(found, nullptr) << text;
  return found != nullptr ? *found : T{};
}

// The example of dockerfile.hpp: from text to a value, with the environment as a function.
TEST(Parse, GivesStagesOfInstructions) {
  const File file = parsed(
      "# syntax=docker/dockerfile:1\n"
      "ARG TAG=12\n"
      "FROM debian:${TAG} AS Build\n"
      "# what it does\n"
      "RUN make \\\n"
      "    all\n"
      "FROM --platform=$BUILDPLATFORM scratch\n"
      "COPY --from=build /out/a \"/b c\" /bin/\n"
      "ENV A=\"x y\" B=$A\n");
  EXPECT_EQ(file.directives.syntax, "docker/dockerfile:1");
  ASSERT_EQ(file.global_args.size(), 1U);
  EXPECT_THAT(file.global_args[0].items, ElementsAre(ArgItem{"TAG", "12"}));
  ASSERT_EQ(file.stages.size(), 2U);
  EXPECT_EQ(file.stages[0].from.image, "debian:${TAG}");
  EXPECT_EQ(file.stages[0].name, "build");
  EXPECT_EQ(file.stages[1].from.platform, "$BUILDPLATFORM");
  const auto& run = std::get<dockerfile::Run>(file.stages[0].instructions[0]);
  EXPECT_EQ(run.command.text, "make     all");
  EXPECT_EQ(run.source.range, (SourceRange{"Dockerfile", 5, 6}));
  EXPECT_THAT(run.source.comments, ElementsAre("what it does"));
  const auto& copy = std::get<Copy>(file.stages[1].instructions[0]);
  EXPECT_EQ(copy.from, "build");
  EXPECT_THAT(copy.sources, ElementsAre("/out/a", "\"/b", "c\""));
  EXPECT_EQ(copy.destination, "/bin/");
  const auto lookup = [](std::string_view name) -> std::optional<std::string> {
    if (name == "A") return "before";
    return {};
  };
  const auto env = expanded(std::get<Env>(file.stages[1].instructions[1]), file.directives.escape, lookup);
  ASSERT_TRUE(env);
  EXPECT_THAT(env->pairs, ElementsAre(NameValue{"A", "x y"}, NameValue{"B", "before"}));
}

TEST(Parse, TextsOfErrors) {
  const struct {
    std::string_view text, error;
  } kCases[] = {
      {"", "the Dockerfile cannot be empty"},
      {"# nothing\n", "file with no instructions"},
      {"\n\n", "file with no instructions"},
      {"ARG A=1\n", "dockerfile contains no stages to build"},
      {"RUN x\nFROM a\n", "no build stage in current context"},
      {"FROOM a\n", "dockerfile parse error on line 1: unknown instruction: FROOM (did you mean FROM?)"},
      {"froom a\n", "dockerfile parse error on line 1: unknown instruction: froom (did you mean from?)"},
      {"FROM a\nRUNN echo x\n", "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)"},
      {"FROM a\nXYZZY\n", "dockerfile parse error on line 2: unknown instruction: XYZZY"},
      {"FROM\n", "dockerfile parse error on line 1: FROM requires either one or three arguments"},
      {"FROM a b\n", "dockerfile parse error on line 1: FROM requires either one or three arguments"},
      {"FROM a AS 1abc\n",
       "dockerfile parse error on line 1: invalid name for build stage: \"1abc\", name can't start with a number or "
       "contain symbols"},
      {"FROM --platform a\n", "dockerfile parse error on line 1: missing a value on flag: --platform"},
      {"FROM a\nCOPY --link=maybe a /a\n",
       "dockerfile parse error on line 2: expecting boolean value for flag --link, not: maybe"},
      {"FROM a\nCOPY --chown=1 --chown=2 a /a\n",
       "dockerfile parse error on line 2: duplicate flag specified: --chown"},
      {"FROM a\nCOPY --chwon=1 a /a\n",
       "dockerfile parse error on line 2: unknown flag: --chwon (did you mean chown?)"},
      {"FROM a\nENV --foo A=1\n", "dockerfile parse error on line 2: unknown flag: --foo"},
      {"FROM a\nCOPY a\n",
       "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination "
       "could not be determined"},
      {"FROM a\nADD\n",
       "dockerfile parse error on line 2: ADD requires at least two arguments, but only one was provided. Destination "
       "could not be determined"},
      {"FROM a\nCOPY a <<EOF\nx\nEOF\n",
       "dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination"},
      {"FROM a\nENV\n", "dockerfile parse error on line 2: ENV requires at least one argument"},
      {"FROM a\nENV =x\n", "dockerfile parse error on line 2: ENV names can not be blank"},
      {"FROM a\nENV A\n", "ENV must have two arguments"},
      {"FROM a\nENV A=1 B\n", "Syntax error - can't find = in \"B\". Must be of the form: name=value"},
      {"FROM a\nONBUILD ENV A=1 \"c\"\n",
       "Syntax error - can't find = in \"\\\"c\\\"\". Must be of the form: name=value"},
      {"FROM a\nCMD [\"a\", 1]\n", "when using JSON array syntax, arrays must be comprised of strings only"},
      {"FROM a\nARG =x\n", "dockerfile parse error on line 2: ARG names can not be blank"},
      {"FROM a\nWORKDIR\n", "dockerfile parse error on line 2: WORKDIR requires exactly one argument"},
      {"FROM a\nVOLUME [\"\"]\n", "dockerfile parse error on line 2: VOLUME specified can not be an empty string"},
      {"FROM a\nEXPOSE\n", "dockerfile parse error on line 2: EXPOSE requires at least one argument"},
      {"FROM a\nSHELL x\n", "dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form"},
      {"FROM a\nSHELL []\n", "dockerfile parse error on line 2: SHELL requires at least one argument"},
      {"FROM a\nHEALTHCHECK EXEC x\n",
       "dockerfile parse error on line 2: Unknown type \"EXEC\" in HEALTHCHECK (try CMD)"},
      {"FROM a\nHEALTHCHECK CMD\n", "dockerfile parse error on line 2: Missing command after HEALTHCHECK CMD"},
      {"FROM a\nHEALTHCHECK NONE x\n", "dockerfile parse error on line 2: HEALTHCHECK NONE takes no arguments"},
      {"FROM a\nHEALTHCHECK --interval=1us CMD x\n",
       "dockerfile parse error on line 2: Interval \"interval\" cannot be less than 1ms"},
      {"FROM a\nHEALTHCHECK --timeout=x CMD x\n", "dockerfile parse error on line 2: time: invalid duration \"x\""},
      {"FROM a\nHEALTHCHECK --retries=-1 CMD x\n",
       "dockerfile parse error on line 2: --retries cannot be negative (-1)"},
      {"FROM a\nHEALTHCHECK --retries=x CMD x\n",
       "dockerfile parse error on line 2: strconv.ParseInt: parsing \"x\": invalid syntax"},
      {"FROM a\nONBUILD ONBUILD RUN x\n",
       "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"},
      {"FROM a\nONBUILD from x\n", "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger"},
      {"FROM a\nONBUILD maintainer x\n",
       "dockerfile parse error on line 2: MAINTAINER isn't allowed as an ONBUILD trigger"},
      {"FROM a\nRUN --network=foo x\n", "dockerfile parse error on line 2: invalid network mode \"foo\""},
      {"FROM a\nRUN --security=foo x\n", "dockerfile parse error on line 2: security \"foo\" is not valid"},
      {"FROM a\n\nRUN <<EOF\necho x\n", "unterminated heredoc"},
      {"# escape=x\nFROM a\n", "invalid escape token 'x' does not match ` or \\"},
      {"# escape=\\\n# escape=`\nFROM a\n", "only one escape parser directive can be used"},
  };
  for (const auto& [text, error] : kCases) EXPECT_EQ(error_of(text), error) << text;
  EXPECT_EQ(error_of(std::string_view("FROM a\nRUN \0\n", 13)), "dockerfile parse error on line 2: NUL byte");
}

TEST(Parse, AnErrorPointsAtItsLinesAndShowsThem) {
  const auto file = parse("FROM base\nCOPY a /a\nCOPY a \\\n\t<<EOF\nbody\nEOF\nRUN x\n", "sub/Dockerfile");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code(), Code::kInvalidArgument);
  EXPECT_EQ(file.error().range(), (SourceRange{"sub/Dockerfile", 3, 6}));
  EXPECT_EQ(file.error().excerpt(),
            "sub/Dockerfile:3\n"
            "--------------------\n"
            "   2 |     COPY a /a\n"
            "   3 | >>> COPY a \\\n"
            "   4 | >>> \t<<EOF\n"
            "   5 | >>> body\n"
            "   6 | >>> EOF\n"
            "   7 |     RUN x\n"
            "--------------------\n");
  const auto lexed = parse("FROM a\nRUN <<EOF\nx\n", "Dockerfile");
  ASSERT_FALSE(lexed);
  EXPECT_EQ(lexed.error().range(), (SourceRange{"Dockerfile", 2, 3}));
}

TEST(Parse, WhatTheLexerRefusesComesFirst) {
  // as in BuildKit, whose parser reads the whole file before any instruction is looked at
  EXPECT_EQ(error_of("FROM a\nRUNN x\nENV A=1 B\n"),
            "Syntax error - can't find = in \"B\". Must be of the form: name=value");
}

TEST(Parse, AFoundErrorLaterGetsItsPlace) {
  const File file = parsed("FROM a\nRUN false\n");
  const Error error = at(file, source_of(file.stages[0].instructions[0]), Error(Code::kAborted, "exit code: 1"));
  EXPECT_EQ(error.range(), (SourceRange{"Dockerfile", 2, 2}));
  EXPECT_THAT(error.excerpt(), testing::HasSubstr("   2 | >>> RUN false\n"));
}

TEST(Parse, NamesOfInstructionsInAnyCase) {
  const File file = parsed("from base as Build\nenv A=1\nFrOm base\ncopy --from=BUILD /etc/group /g\nwOrKdIr /w\n");
  EXPECT_EQ(file.stages[0].name, "build");
  EXPECT_EQ(std::get<Copy>(file.stages[1].instructions[0]).from, "BUILD");
  EXPECT_EQ(keyword_of(file.stages[1].instructions[1]), Keyword::kWorkdir);
}

TEST(Parse, FormsOfCommands) {
  EXPECT_EQ(only<Cmd>("FROM a\nCMD [\"a\", \"b\"]\n").command, (CommandLine{false, "", {"a", "b"}}));
  EXPECT_EQ(only<Cmd>("FROM a\nCMD ['a', 'b']\n").command, (CommandLine{true, "['a', 'b']", {}}));
  EXPECT_EQ(only<Cmd>("FROM a\nCMD []\n").command, (CommandLine{false, "", {}}));
  EXPECT_EQ(only<Cmd>("FROM a\nCMD\n").command, (CommandLine{true, "", {}}));
  EXPECT_EQ(only<Entrypoint>("FROM a\nENTRYPOINT [ \"ok\", \"a\\tb\", \"\\u00e9\" ]\n").command,
            (CommandLine{false, "", {"ok", "a\tb", "é"}}));
  EXPECT_EQ(only<dockerfile::Run>("FROM a\nRUN   echo   spaced    words   > /r  \n").command.text,
            "echo   spaced    words   > /r");
  const auto run =
      only<dockerfile::Run>("FROM a\nRUN --mount=type=cache,target=/c --mount=\"type=tmpfs,target=/a b\" -- --x\n");
  EXPECT_THAT(run.mounts, ElementsAre("type=cache,target=/c", "type=tmpfs,target=/a b"));
  EXPECT_EQ(run.command.text, "--x");
  EXPECT_THAT(only<Shell>("FROM a\nSHELL [\"/bin/sh\", \"-ec\"]\n").shell, ElementsAre("/bin/sh", "-ec"));
  EXPECT_EQ(only<User>("FROM a\nUSER a b\n").user, "a b");
}

TEST(Parse, FlagsOfCopyAndAdd) {
  const auto copy =
      only<Copy>("FROM a\nCOPY --chown=u:g --chmod=0755 --link --parents=false --exclude=a --exclude=b s d\n");
  EXPECT_FALSE(copy.add);
  EXPECT_EQ(copy.chown, "u:g");
  EXPECT_EQ(copy.chmod, "0755");
  EXPECT_TRUE(copy.link);
  EXPECT_FALSE(copy.parents);
  EXPECT_THAT(copy.excludes, ElementsAre("a", "b"));
  const auto add = only<Copy>("FROM a\nADD --unpack=false --keep-git-dir --checksum=sha256:0 [\"a b\", \"c\"]\n");
  EXPECT_TRUE(add.add);
  EXPECT_EQ(add.unpack, false);
  EXPECT_TRUE(add.keep_git_dir);
  EXPECT_EQ(add.checksum, "sha256:0");
  EXPECT_THAT(add.sources, ElementsAre("a b"));
}

TEST(Parse, Metadata) {
  EXPECT_THAT(only<Env>("FROM a\nENV A one two   three\n").pairs, ElementsAre(NameValue{"A", "one two   three", true}));
  EXPECT_THAT(only<Env>("FROM a\nENV D   x \\\n   y\n").pairs, ElementsAre(NameValue{"D", "x    y", true}));
  EXPECT_THAT(only<Env>("FROM a\nENV A=1 B=\"2 2\" \\\n  C='3 3' D=4\\ 4 \\\n  E=\n").pairs,
              ElementsAre(NameValue{"A", "1"}, NameValue{"B", "\"2 2\""}, NameValue{"C", "'3 3'"},
                          NameValue{"D", "4\\ 4"}, NameValue{"E", ""}));
  EXPECT_THAT(only<Arg>("FROM a\nARG A B=def C= \"D E\"=f\n").items,
              ElementsAre(ArgItem{"A", {}}, ArgItem{"B", "def"}, ArgItem{"C", ""}, ArgItem{"\"D E\"", "f"}));
  EXPECT_THAT(only<Expose>("FROM a\nEXPOSE 80 443/tcp 53/UDP 22\n").ports,
              ElementsAre("22", "443/tcp", "53/UDP", "80"));
  EXPECT_THAT(only<Volume>("FROM a\nVOLUME /a /b\n").paths, ElementsAre("/a", "/b"));
  const auto check = only<Healthcheck>(
      "FROM a\nHEALTHCHECK --interval=5m --timeout=3s --start-period=1s500ms --retries=4 CMD [\"curl\", \"-f\"]\n");
  EXPECT_THAT(check.test, ElementsAre("CMD", "curl", "-f"));
  EXPECT_EQ(check.interval, 300'000'000'000);
  EXPECT_EQ(check.start_period, 1'500'000'000);
  EXPECT_EQ(check.retries, 4);
  EXPECT_THAT(only<Healthcheck>("FROM a\nHEALTHCHECK cmd true\n").test, ElementsAre("CMD-SHELL", "true"));
  EXPECT_THAT(only<Healthcheck>("FROM a\nHEALTHCHECK none\n").test, ElementsAre("NONE"));
}

TEST(Parse, OnBuildKeepsTheRestOfTheLine) {
  EXPECT_EQ(only<OnBuild>("FROM a\nONBUILD RUN echo  two   spaces\n").trigger, "RUN echo  two   spaces");
  EXPECT_EQ(only<OnBuild>("FROM a\nonbuild ENV A=$B\n").trigger, "ENV A=$B");
  EXPECT_EQ(only<OnBuild>("FROM a\nONBUILD RUN <<EOF\necho hi\nEOF\n").trigger, "RUN <<EOF\necho hi\nEOF");
}

TEST(ParseTrigger, ReadsWhatAnImageHolds) {
  const auto run = parse_trigger("RUN <<EOF\necho hi\nEOF", "debian:12");
  ASSERT_TRUE(run);
  EXPECT_EQ(script_of(std::get<dockerfile::Run>(*run)).text, "echo hi\n");
  EXPECT_EQ(parse_trigger("ONBUILD RUN x", "a").error().what(), "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  EXPECT_EQ(parse_trigger("FROM x", "a").error().what(), "FROM isn't allowed as an ONBUILD trigger");
  EXPECT_EQ(parse_trigger("RUN x\nRUN y", "a").error().what(),
            "the ONBUILD trigger \"RUN x\\nRUN y\" of a is not one instruction");
  EXPECT_EQ(parse_trigger("RUNN x", "a").error().what(),
            "dockerfile parse error on line 1: unknown instruction: RUNN (did you mean RUN?)");
}

TEST(ScriptOf, ResolvesHeredocs) {
  EXPECT_EQ(script_of(only<dockerfile::Run>("FROM a\nRUN <<EOF\necho $V\nfalse\nEOF\n")).text, "echo $V\nfalse\n");
  EXPECT_EQ(script_of(only<dockerfile::Run>("FROM a\nRUN <<-EOF\n\techo\n\tEOF\n")).text, "echo\n");
  const auto file = script_of(only<dockerfile::Run>("FROM a\nRUN <<'EOF'\n#!/bin/sh -e\necho\nEOF\n"));
  EXPECT_EQ(file.text, "/dev/pipes/EOF");
  EXPECT_EQ(file.file, (InlineFile{"EOF", "#!/bin/sh -e\necho\n", false}));
  EXPECT_EQ(script_of(only<dockerfile::Run>("FROM a\nRUN cat <<EOF > /a && cat <<'EOQ' > /b\nx\nEOF\ny\nEOQ\n")).text,
            "cat <<EOF > /a && cat <<'EOQ' > /b\nx\nEOF\ny\nEOQ");
  EXPECT_EQ(script_of(only<dockerfile::Run>("FROM a\nRUN <<A <<B cat > /r\na\nA\nb\nB\n")).text,
            "<<A <<B cat > /r\na\nA\nb\nB");
  EXPECT_EQ(script_of(only<dockerfile::Run>("FROM a\nRUN echo \"x<<y\" > /r\n")).text, "echo \"x<<y\" > /r");
}

TEST(Parse, InlineFilesOfCopy) {
  const auto copy = only<Copy>("FROM a\nCOPY f <<g <<-'S' /m/\n$x\ng\n\t#!/bin/sh\n\tS\n");
  EXPECT_THAT(copy.sources, ElementsAre("f"));
  EXPECT_THAT(copy.inline_files, ElementsAre(InlineFile{"g", "$x\n", true}, InlineFile{"S", "#!/bin/sh\n", false}));
  EXPECT_EQ(copy.destination, "/m/");
  // the JSON form never holds a heredoc
  EXPECT_THAT(only<Copy>("FROM a\nCOPY [\"<<EOF\", \"a\", \"/m/\"]\n").sources, ElementsAre("<<EOF", "a"));
}

TEST(Expanded, CopyExpandsAllButFrom) {
  const auto lookup = [](std::string_view name) -> std::optional<std::string> {
    if (name == "d") return "a b";
    return {};
  };
  const auto copy =
      expanded(only<Copy>("FROM a\nCOPY --chown=$d arr[[]0].txt <<F <<'G' $d\n\"$d\" \\$d\nF\n$d\nG\n"), '\\', lookup);
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->chown, "a b");
  EXPECT_EQ(copy->destination, "a b");
  EXPECT_THAT(copy->sources, ElementsAre("arr[[]0].txt"));
  EXPECT_THAT(copy->inline_files, ElementsAre(InlineFile{"F", "\"a b\" $d\n", true}, InlineFile{"G", "$d\n", false}));
  EXPECT_EQ(
      expanded(only<Copy>("FROM a\nCOPY --from=$x a b\n"), '\\', lookup).error().what(),
      "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as "
      "a workaround");
  EXPECT_THAT(expanded(only<Expose>("FROM a\nEXPOSE $d 1\n"), '\\', lookup)->ports, ElementsAre("a", "b", "1"));
  EXPECT_THAT(expanded(only<Volume>("FROM a\nVOLUME $d\n"), '\\', lookup)->paths, ElementsAre("a b"));
}

TEST(FindStage, ByNameThenByNumber) {
  const File file = parsed("FROM a AS x\nFROM b AS X\nFROM c\n");
  EXPECT_EQ(find_stage(file, "x", 3), 1U);
  EXPECT_EQ(find_stage(file, "X", 1), 0U);
  EXPECT_EQ(find_stage(file, "2", 3), 2U);
  EXPECT_EQ(find_stage(file, "2", 2), std::nullopt);
  EXPECT_EQ(find_stage(file, "y", 3), std::nullopt);
  EXPECT_EQ(find_stage(file, "", 3), std::nullopt);
  EXPECT_EQ(find_stage(file, "-1", 3), std::nullopt);
}

TEST(Parse, LargeFilesCostWhatTheyWeigh) {
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += fmt::format("FROM base AS s{}\nRUN cat <<EOF\nx\nEOF\n", i);
  EXPECT_EQ(parsed(text).stages.size(), 10'000U);
  // one instruction of many lines; many bare << that each look for a line to end them; ONBUILD in ONBUILD
  text = "FROM a\nRUN a \\\n";
  for (int i = 0; i < 200'000; ++i) text += " b \\\n";
  EXPECT_EQ(parsed(text).stages[0].instructions.size(), 1U);
  text = "FROM a\n";
  for (int i = 0; i < 20'000; ++i) text += fmt::format("RUN a << E{}\n", i);
  EXPECT_EQ(parsed(text).stages[0].instructions.size(), 20'000U);
  text = "FROM a\n";
  for (int i = 0; i < 200'000; ++i) text += "ONBUILD ";
  EXPECT_THAT(error_of(text), testing::HasSubstr("Chaining ONBUILD"));
  EXPECT_EQ(parse(std::string(kFileLimit + 1, 'a'), "Dockerfile").error().code(), Code::kOutOfRange);
}

}  // namespace
}  // namespace slipway::dockerfile
