#include "cli/progress_tty.hpp"

#include <gtest/gtest.h>

#include "base/text.hpp"

namespace slipway::cli {
namespace {

using namespace progress;

constexpr TerminalSize kSize{.columns = 50, .rows = 24};

std::string frame(const TtyScreen& screen, std::int64_t now, TtyScreen::Which which = TtyScreen::Which::kLive,
                  TerminalSize size = kSize) {
  return "\n" + join(screen.frame(size, now, which), "\n") + "\n";
}

TEST(TtyScreen, AFrameOfABuild) {
  TtyScreen screen("Building", false, 0);
  screen.on(Started{1, "[internal] load build definition"}, 0);
  screen.on(Finished{1, ""}, 100);
  screen.on(Started{2, "[1/3] FROM docker.io/library/debian:12"}, 100);
  screen.on(Cached{2}, 150);
  screen.on(Started{3, "[2/3] RUN make"}, 200);
  screen.on(Log{3, 1, "cc -c a.c\ncc -c b.c\n"}, 700);
  screen.on(Started{4, "[base 1/2] FROM registry.example/base"}, 300);
  screen.on(Transfer{4, "sha256:1a2b3c4d5e6f7890", 1'050'000, 2'810'000}, 400);
  EXPECT_EQ(frame(screen, 1200), R"(
[+] Building 1.2s (2/4)
 => [internal] load build definition         0.1s
 => CACHED [1/3] FROM docker.io/library/debi 0.0s
 => [2/3] RUN make                           1.0s
 => => # cc -c a.c
 => => # cc -c b.c
 => [base 1/2] FROM registry.example/base    0.9s
 => => sha256:1a2b3c4d5e6f 1.05MB / 2.81MB   0.8s
)");
}

TEST(TtyScreen, TheLastFrameShowsAllAndNoLogs) {
  TtyScreen screen("Building", false, 0);
  screen.on(Started{1, "[1/2] FROM scratch"}, 0);
  screen.on(Finished{1, ""}, 0);
  screen.on(Started{2, "[2/2] RUN make"}, 0);
  screen.on(Log{2, 1, "x\n"}, 0);
  screen.on(Finished{2, ""}, 2000);
  EXPECT_EQ(frame(screen, 2000, TtyScreen::Which::kLast), R"(
[+] Building 2.0s (2/2) FINISHED
 => [1/2] FROM scratch                       0.0s
 => [2/2] RUN make                           2.0s
)");
  EXPECT_EQ(screen.epilogue(), "");
}

TEST(TtyScreen, FailureAndCancellation) {
  TtyScreen screen("Building", true, 0);
  screen.on(Started{1, "[2/2] RUN exit 3"}, 0);
  screen.on(Started{2, "[other 1/1] RUN sleep"}, 0);
  screen.on(Log{1, 2, "oh no"}, 10);
  screen.on(Finished{1, "exit code: 3"}, 300);
  screen.on(Finished{2, "interrupted"}, 300);
  screen.on(Warning{"careful"}, 300);
  EXPECT_EQ(frame(screen, 300),
            "\n[+] Building 0.3s (2/2)\n"
            "\x1b[31m => ERROR [2/2] RUN exit 3                   0.3s\x1b[0m\n"
            "\x1b[33m => CANCELED [other 1/1] RUN sleep           0.3s\x1b[0m\n");
  EXPECT_EQ(screen.epilogue(), "WARNING: careful\n------\n > [2/2] RUN exit 3:\n0.300 oh no\n------\n");
}

TEST(TtyScreen, FitsTheTerminal) {
  TtyScreen screen("Building", false, 0);
  for (VertexId id = 1; id <= 20; ++id) {
    screen.on(Started{id, fmt::format("step {} 漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字", id)}, 0);
    if (id < 19) screen.on(Finished{id, ""}, 0);
  }
  const TerminalSize small{.columns = 40, .rows = 8};
  const auto lines = screen.frame(small, 0, TtyScreen::Which::kLive);
  EXPECT_LE(lines.size(), 7u);
  for (const auto& line : lines) EXPECT_LE(columns_of(line), 39u) << line;
  EXPECT_TRUE(lines.back().starts_with(" => step 20"));
  EXPECT_EQ(screen.frame(small, 0, TtyScreen::Which::kLast).size(), 21u);
}

TEST(TtyScreen, ForeignNamesCanNotActOnTheTerminal) {
  TtyScreen screen("Building", false, 0);
  screen.on(Started{1, "RUN \x1b[2J"}, 0);
  screen.on(Log{1, 1, "\x1b[1mbold\x1b[H\x07\n"}, 0);
  EXPECT_EQ(frame(screen, 0), R"(
[+] Building 0.0s (0/1)
 => RUN \x1b[2J                              0.0s
 => => # bold\x1b[H\x07
)");
}

TEST(TtyProgress, DrawsTheLastFrameAndGivesTheCursorBack) {
  std::mutex mutex;
  std::string text;
  {
    TtyProgress reader(ProgressSetup{.write =
                                         [&](std::string_view bytes) {
                                           const std::lock_guard lock(mutex);
                                           text += bytes;
                                         },
                                     .clock = [] { return std::int64_t{5}; },
                                     .size = [] { return kSize; }});
    reader.on(Started{1, "a"});
    reader.on(Cached{1});
    reader.finish();
  }
  EXPECT_TRUE(text.starts_with(kHideCursor)) << text;
  EXPECT_TRUE(
      text.ends_with("[+] Building 0.0s (1/1) FINISHED\x1b[K\n => CACHED a                                 "
                     "0.0s\x1b[K\n\x1b[J\x1b[?25h"))
      << text;
}

}  // namespace
}  // namespace slipway::cli
