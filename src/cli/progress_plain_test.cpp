#include "cli/progress_plain.hpp"

#include <gtest/gtest.h>

#include "cli/progress_quiet.hpp"

namespace slipway::cli {
namespace {

using namespace progress;

/// Events in, text out, with a clock that the test sets.
template <class Reader>
struct Shown {
  std::string text;
  std::int64_t now = 1000;
  Reader reader{
      ProgressSetup{.write = [this](std::string_view bytes) { text += bytes; }, .clock = [this] { return now; }}};
};

TEST(PlainProgress, OneStepAfterTheOther) {
  Shown<PlainProgress> shown;
  shown.reader.on(Started{1, "[internal] load build definition from Dockerfile"});
  shown.now += 100;
  shown.reader.on(Transfer{1, "transferring dockerfile:", 81, 81});
  shown.reader.on(Finished{1, ""});
  shown.reader.on(Started{2, "[1/2] FROM docker.io/library/debian:12"});
  shown.reader.on(Cached{2});
  shown.reader.on(Started{3, "[2/2] RUN make"});
  shown.now += 123;
  shown.reader.on(Log{3, 1, "cc -c a.c\ncc -c"});
  shown.now += 100;
  shown.reader.on(Log{3, 1, " b.c\n"});
  shown.reader.on(Log{3, 2, "warning: x"});
  shown.reader.on(Finished{3, ""});
  shown.reader.finish();
  EXPECT_EQ(shown.text,
            "#1 [internal] load build definition from Dockerfile\n"
            "#1 transferring dockerfile: 81B / 81B done\n"
            "#1 DONE 0.1s\n"
            "\n"
            "#2 [1/2] FROM docker.io/library/debian:12\n"
            "#2 CACHED\n"
            "\n"
            "#3 [2/2] RUN make\n"
            "#3 0.123 cc -c a.c\n"
            "#3 0.223 cc -c b.c\n"
            "#3 0.223 warning: x\n"
            "#3 DONE 0.2s\n");
}

TEST(PlainProgress, FailureRepeatsTheLastLines) {
  Shown<PlainProgress> shown;
  shown.reader.on(Started{7, "[2/3] RUN exit 3"});
  for (int i = 1; i <= 12; ++i) shown.reader.on(Log{7, 1, fmt::format("line {}\n", i)});
  shown.reader.on(Finished{7, "process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3"});
  shown.text.clear();
  shown.reader.finish();
  EXPECT_EQ(shown.text,
            "------\n"
            " > [2/3] RUN exit 3:\n"
            "0.000 line 3\n0.000 line 4\n0.000 line 5\n0.000 line 6\n0.000 line 7\n0.000 line 8\n0.000 line 9\n"
            "0.000 line 10\n0.000 line 11\n0.000 line 12\n"
            "------\n");
}

TEST(PlainProgress, EndsOfSteps) {
  Shown<PlainProgress> shown;
  shown.reader.on(Started{1, "a"});
  shown.reader.on(Finished{1, "exit code: 3"});
  shown.reader.on(Started{2, "b"});
  shown.reader.on(Finished{2, "interrupted"});
  EXPECT_EQ(shown.text, "#1 a\n#1 ERROR: exit code: 3\n\n#2 b\n#2 CANCELED\n");
  shown.text.clear();
  shown.reader.finish();
  EXPECT_EQ(shown.text, "");  // neither has anything to repeat
}

TEST(PlainProgress, ParallelStepsWaitForTheFloor) {
  Shown<PlainProgress> shown;
  shown.reader.on(Started{1, "a"});
  shown.reader.on(Started{2, "b"});
  shown.reader.on(Log{1, 1, "a1\n"});
  shown.reader.on(Log{2, 1, "b1\n"});
  shown.reader.on(Log{1, 1, "a2\n"});
  EXPECT_EQ(shown.text, "#1 a\n#1 0.000 a1\n#1 0.000 a2\n");
  shown.reader.on(Finished{2, ""});  // an ended one is shown at once
  EXPECT_EQ(shown.text,
            "#1 a\n#1 0.000 a1\n#1 0.000 a2\n#1 ...\n\n"
            "#2 b\n#2 0.000 b1\n#2 DONE 0.0s\n");
  shown.text.clear();
  shown.reader.on(Log{1, 1, "a3\n"});
  shown.reader.on(Finished{1, ""});
  EXPECT_EQ(shown.text, "\n#1 a\n#1 0.000 a3\n#1 DONE 0.0s\n");
}

TEST(PlainProgress, TheFloorGoesOnAfterAWhileOrWhenItIsFree) {
  Shown<PlainProgress> shown;
  shown.reader.on(Started{1, "a"});
  shown.reader.on(Started{2, "b"});
  shown.now += 5000;
  shown.reader.on(Log{2, 1, "b1\n"});
  EXPECT_EQ(shown.text, "#1 a\n#1 ...\n\n#2 b\n#2 5.000 b1\n");
  shown.text.clear();
  shown.reader.on(Log{1, 1, "a1\n"});
  EXPECT_EQ(shown.text, "");
  shown.reader.on(Finished{2, ""});
  EXPECT_EQ(shown.text, "#2 DONE 5.0s\n\n#1 a\n#1 5.000 a1\n");
}

TEST(PlainProgress, TransfersAreShownNowAndThenAndAtTheEnd) {
  Shown<PlainProgress> shown;
  shown.reader.on(Started{1, "pull"});
  shown.reader.on(Transfer{1, "sha256:1a2b", 0, 2'810'000});
  shown.now += 1000;
  shown.reader.on(Transfer{1, "sha256:1a2b", 500'000, 2'810'000});
  shown.now += 4500;
  shown.reader.on(Transfer{1, "sha256:1a2b", 1'050'000, 2'810'000});
  shown.now += 200;
  shown.reader.on(Transfer{1, "sha256:1a2b", 2'810'000, 2'810'000});
  shown.reader.on(Transfer{1, "sha256:1a2b", 2'810'000, 2'810'000});
  shown.reader.on(Transfer{1, "context", 7, -1});
  shown.reader.on(Finished{1, ""});
  EXPECT_EQ(shown.text,
            "#1 pull\n"
            "#1 sha256:1a2b 1.05MB / 2.81MB 5.5s\n"
            "#1 sha256:1a2b 2.81MB / 2.81MB 5.7s done\n"
            "#1 context 7B done\n"
            "#1 DONE 5.7s\n");
}

TEST(PlainProgress, ForeignBytesAreMadePrintable) {
  Shown<PlainProgress> shown;
  shown.reader.on(Started{1, "RUN \x1b[2J"});
  shown.reader.on(Log{1, 1, "\x1b[31mred\x1b[0m\x1b[2J\xff\n10%\r50%\r100%\r\n"});
  EXPECT_EQ(shown.text, "#1 RUN \\x1b[2J\n#1 0.000 red\\x1b[2J\\xff\n#1 0.000 100%\n");
}

TEST(PlainProgress, EndlessLinesComeInPieces) {
  Shown<PlainProgress> shown;
  shown.reader.on(Started{1, "a"});
  shown.reader.on(Log{1, 1, std::string(40'000, 'x')});
  shown.reader.on(Finished{1, ""});
  EXPECT_EQ(shown.text, "#1 a\n#1 0.000 " + std::string(16384, 'x') + "\n#1 0.000 " + std::string(16384, 'x') +
                            "\n#1 0.000 " + std::string(40'000 - 2 * 16384, 'x') + "\n#1 DONE 0.0s\n");
}

TEST(PlainProgress, WarningsAndUnknownSteps) {
  Shown<PlainProgress> shown;
  shown.reader.on(Warning{"no network in steps"});
  shown.reader.on(Log{9, 1, "x\n"});
  shown.reader.on(Finished{9, ""});
  EXPECT_EQ(shown.text, "WARNING: no network in steps\n");
}

TEST(QuietProgress, ShowsOnlyWhatFailed) {
  Shown<QuietProgress> shown;
  shown.reader.on(Started{1, "a"});
  shown.reader.on(Log{1, 1, "fine\n"});
  shown.reader.on(Finished{1, ""});
  shown.reader.on(Started{2, "b"});
  shown.reader.on(Log{2, 2, "broken\n"});
  shown.reader.on(Finished{2, "exit code: 1"});
  shown.reader.finish();
  EXPECT_EQ(shown.text, "------\n > b:\n0.000 broken\n------\n");
}

}  // namespace
}  // namespace slipway::cli
