#include "dockerfile/lexer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slipway::dockerfile {
namespace {

using testing::ElementsAre;

std::vector<std::string> texts(std::string_view text) {
  std::vector<std::string> out;
  const auto lexed = lex(text);
  EXPECT_TRUE(lexed) << text;
  if (lexed)
    for (const auto& statement : lexed->statements) out.push_back(statement.text);
  return out;
}

std::vector<std::string> bodies(std::string_view text) {
  std::vector<std::string> out;
  const auto lexed = lex(text);
  EXPECT_TRUE(lexed) << text << (lexed ? "" : lexed.error().what());
  if (lexed)
    for (const auto& statement : lexed->statements)
      for (const auto& heredoc : statement.heredocs) out.push_back(heredoc.name + ":" + heredoc.content);
  return out;
}

TEST(Lexer, JoinsContinuedLines) {
  EXPECT_THAT(texts("RUN echo a\\\n  b\n"), ElementsAre("RUN echo a  b"));
  EXPECT_THAT(texts("RUN a \\ \t\n b\n"), ElementsAre("RUN a  b"));
  EXPECT_THAT(texts("RUN 'a\\\\'\nB\n"), ElementsAre("RUN 'a\\\\'", "B"));
  EXPECT_THAT(texts("RUN a\\\\\nB\n"), ElementsAre("RUN a\\\\", "B"));
  EXPECT_THAT(texts("RUN a \\\n# comment\n  b \\\n   # indented\n  c\n"), ElementsAre("RUN a   b   c"));
  EXPECT_THAT(texts("RUN a \\\n\n \n b\n"), ElementsAre("RUN a  b"));
  EXPECT_THAT(texts("RUN a \\\n"), ElementsAre("RUN a "));
  EXPECT_THAT(texts("RUN a \\\r\n  b\r\nX\r\n"), ElementsAre("RUN a   b", "X"));
  EXPECT_THAT(texts("\\\nRUN a"), ElementsAre("RUN a"));
  EXPECT_THAT(texts("# escape=`\nRUN a`\n b\nENV P=C:\\\nX\n"), ElementsAre("RUN a b", "ENV P=C:\\", "X"));
  EXPECT_TRUE(lex("RUN a \\\n\n b\n")->statements[0].empty_continuation);
  EXPECT_FALSE(lex("RUN a \\\n#\n b\n")->statements[0].empty_continuation);
}

TEST(Lexer, DropsMarksCommentsAndBlankLines) {
  EXPECT_THAT(texts("\xef\xbb\xbf"
                    "FROM base\n"),
              ElementsAre("FROM base"));
  EXPECT_THAT(texts("  # c\n\n\t RUN a # b\n"), ElementsAre("RUN a # b"));
  const auto lexed = lex("# one\n#two\nRUN a\n# far\n\nRUN b\n");
  EXPECT_THAT(lexed->statements[0].comments, ElementsAre("one", "two"));
  EXPECT_TRUE(lexed->statements[1].comments.empty());
}

TEST(Lexer, ReadsDirectivesUntilSomethingElseComes) {
  const auto all = lex("#  SYNTAX = docker/dockerfile:1 \n#escape=`\n# check=skip=all\nFROM a\n");
  EXPECT_EQ(all->directives.syntax, "docker/dockerfile:1");
  EXPECT_EQ(all->directives.escape, '`');
  EXPECT_EQ(all->directives.check, "skip=all");
  for (const auto* text : {"# comment\n# escape=`\nFROM a\n", "\n# escape=`\nFROM a\n",
                           "# foo=bar\n# escape=`\nFROM a\n", "FROM a\n# escape=`\n"}) {
    EXPECT_EQ(lex(text)->directives.escape, '\\') << text;
  }
  EXPECT_EQ(lex("#!/usr/bin/env slipway\n# escape=`\nFROM a\n")->directives.escape, '`');
  const auto bad = lex("# syntax=a\n# escape=x\nFROM a\n");
  EXPECT_EQ(bad.error().range()->first_line, 2);
}

TEST(Lexer, CollectsHeredocs) {
  EXPECT_THAT(bodies("RUN cat <<A <<'B' 3<<\"C\" <<-D >x\n1\nA\n2\nB\n3\nC\n\t4\n\tD\nRUN\n"),
              ElementsAre("A:1\n", "B:2\n", "C:3\n", "D:\t4\n"));
  EXPECT_EQ(lex("RUN cat <<EOF\n").error().what(), "unterminated heredoc");
  EXPECT_THAT(bodies("RUN <<EOF\r\nx\r\nEOF\r\n"), ElementsAre("EOF:x\r\n"));
  EXPECT_THAT(bodies("RUN <<E\"O\"F\n# no comment \\\nEOF\n"), ElementsAre("EOF:# no comment \\\n"));
  EXPECT_THAT(bodies("COPY <<a <<a /d/\n1\na\n2\na\n"), ElementsAre("a:1\n", "a:2\n"));
  EXPECT_THAT(bodies("ONBUILD RUN <<EOF\nx\nEOF\n"), ElementsAre("EOF:x\n"));
  EXPECT_THAT(bodies("RUN cat <<EOF ${x^^} ${y:1:2}\nx\nEOF\n"), ElementsAre("EOF:x\n"));
}

TEST(Lexer, KnowsWhatIsNoHeredoc) {
  for (const auto* text : {"RUN echo \"<<EOF\" x\n", "RUN echo a<<EOF\n", "RUN cat <<<EOF\n",
                           "RUN [\"cat\", \"<<EOF\"]\n", "ENV A=<<EOF\n", "RUN echo '<<EOF\n", "RUN echo $((1<<2))\n",
                           "RUN echo $((1 << 2))\n", "RUN cat <<\n", "RUN cat <<-\n"}) {
    EXPECT_THAT(bodies(text), ElementsAre()) << text;
  }
  // newer BuildKit's form, where a line ends it
  EXPECT_THAT(bodies("RUN cat << EOF > /a\nx\nEOF\nRUN y\n"), ElementsAre("EOF:x\n"));
}

TEST(ParseCheck, ReadsOptions) {
  EXPECT_EQ(*parse_check("skip=A, B ;error=true;experimental=all"),
            (CheckOptions{.skip = {"A", "B"}, .experimental_all = true, .error = true}));
  EXPECT_TRUE(parse_check("skip=all")->skip_all);
  EXPECT_EQ(*parse_check(""), CheckOptions{});
  EXPECT_EQ(parse_check("foo=1").error().what(), "invalid check option \"foo\"");
  EXPECT_EQ(parse_check("foo").error().what(), "invalid check option \"foo\"");
  EXPECT_FALSE(parse_check("error=yes"));
}

TEST(IsBuiltInSyntax, KnowsDockersOwn) {
  for (const auto* yes : {"docker/dockerfile", "docker/dockerfile:1", "docker/dockerfile:1.7-labs",
                          "docker.io/docker/dockerfile:1@sha256:0", "docker/dockerfile-upstream:master",
                          "dockerfile.v0", "docker/dockerfile:1 extra words"}) {
    EXPECT_TRUE(is_built_in_syntax(yes)) << yes;
  }
  for (const auto* no : {"", "docker/dockerfilex", "example.com/docker/dockerfile:1", "tonistiigi/dockerfile"}) {
    EXPECT_FALSE(is_built_in_syntax(no)) << no;
  }
}

}  // namespace
}  // namespace slipway::dockerfile
