// The log as logrus writes it: the bytes that scripts look for.
#include "cli/executor/log.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

using namespace progress;

constexpr Timestamp kTime{1'700'000'000, 5};

TEST(ExecutorLog, LinesAreLogruss) {
  LogSettings settings;
  EXPECT_EQ(log_line(settings, LogLevel::kInfo, "RUN make", 3900, kTime),
            "\x1b[36mINFO\x1b[0m[0003] RUN make" + std::string(37, ' ') + "\n");
  EXPECT_EQ(log_line(settings, LogLevel::kWarn, "x", 0, kTime).substr(0, 21), "\x1b[33mWARN\x1b[0m[0000] x");
  settings.timestamp = true;
  EXPECT_EQ(log_line(settings, LogLevel::kError, "x", 0, kTime).substr(0, 37),
            "\x1b[31mERRO\x1b[0m[2023-11-14T22:13:20Z] x");
  settings.format = LogFormat::kText;
  EXPECT_EQ(log_line(settings, LogLevel::kInfo, "RUN echo \"a\"", 0, kTime),
            "time=\"2023-11-14T22:13:20Z\" level=info msg=\"RUN echo \\\"a\\\"\"\n");
  EXPECT_EQ(log_line(settings, LogLevel::kWarn, "word", 0, kTime),
            "time=\"2023-11-14T22:13:20Z\" level=warning msg=word\n");
  settings.format = LogFormat::kJson;
  EXPECT_EQ(log_line(settings, LogLevel::kInfo, "a <b>", 0, kTime),
            "{\"level\":\"info\",\"msg\":\"a \\u003cb\\u003e\",\"time\":\"2023-11-14T22:13:20Z\"}\n");
}

TEST(ExecutorLog, TheLevelDecides) {
  LogSettings settings{.level = LogLevel::kWarn};
  EXPECT_EQ(log_line(settings, LogLevel::kInfo, "x", 0, kTime), "");
  EXPECT_NE(log_line(settings, LogLevel::kError, "x", 0, kTime), "");
  settings.level = LogLevel::kTrace;
  EXPECT_NE(log_line(settings, LogLevel::kDebug, "x", 0, kTime), "");
}

TEST(ExecutorLog, ForeignTextDoesNotActOnATerminal) {
  LogSettings settings{.format = LogFormat::kText};
  const std::string line = log_line(settings, LogLevel::kInfo, "a\x1b]0;title\x07\nlevel=error b", 0, kTime);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

struct Captured {
  std::string log, output;
  ExecutorLog reader;
  explicit Captured(LogLevel level = LogLevel::kInfo)
      : reader({.settings = {.level = level, .format = LogFormat::kText},
                .log = [this](std::string_view text) { log += text; },
                .output = [this](std::string_view text) { output += text; },
                .wall_clock = [] { return kTime; }}) {}
  /// The messages without what is the same in each line.
  std::string messages() const {
    std::string out = log;
    const std::string head = "time=\"2023-11-14T22:13:20Z\" level=";
    for (auto at = out.find(head); at != std::string::npos; at = out.find(head)) out.erase(at, head.size());
    return out;
  }
};

TEST(ExecutorLog, StepsAreToldWhenTheyRun) {
  Captured captured;
  captured.reader.on(Started{1, "[internal] load metadata for base"});
  captured.reader.on(Finished{1, ""});
  captured.reader.on(Started{2, "[1/3] FROM docker.io/library/base:latest"});
  captured.reader.on(Finished{2, ""});
  captured.reader.on(Started{3, "[2/3] COPY a /"});
  captured.reader.on(Reason{3, true, "", "", "", "", ""});
  captured.reader.on(Cached{3});
  captured.reader.on(Started{4, "[build 3/3] RUN make"});
  captured.reader.on(Reason{4, false, "new", "", "never built", "", ""});
  captured.reader.on(Log{4, 1, "out\n"});
  captured.reader.on(Log{4, 2, "err"});
  captured.reader.on(Finished{4, ""});
  captured.reader.on(Warning{"careful"});
  EXPECT_EQ(captured.messages(),
            "info msg=\"Retrieving image manifest docker.io/library/base:latest\"\n"
            "info msg=\"Using caching version of cmd: COPY a /\"\n"
            "info msg=\"RUN make\"\n"
            "err\n"
            "warning msg=careful\n");
  EXPECT_EQ(captured.output, "out\n");
}

TEST(ExecutorLog, WhatStepsPrintIsWholeLinesWithTheirColours) {
  Captured captured;
  captured.reader.on(Started{1, "[1/1] RUN x"});
  captured.reader.on(Log{1, 1, "\x1b[32mgr"});
  captured.reader.on(Log{1, 1, "een\x1b[0m\n10%\r50%\r100%\r\nti\x1b]0;t\x07tle"});
  EXPECT_EQ(captured.output, "\x1b[32mgreen\x1b[0m\n100%\n");
  captured.reader.on(Finished{1, ""});
  EXPECT_EQ(captured.output.find("\x1b]"), std::string::npos);
  EXPECT_TRUE(captured.output.ends_with("\n"));
}

TEST(ExecutorLog, DebugTellsMore) {
  Captured captured(LogLevel::kDebug);
  captured.reader.on(Started{1, "[internal] load metadata for base"});
  captured.reader.on(Finished{1, ""});
  captured.reader.on(Started{2, "[1/1] FROM base"});
  captured.reader.on(Transfer{2, "sha256:1", 5, 10});
  captured.reader.on(Transfer{2, "sha256:1", 10, 10});
  captured.reader.on(Transfer{2, "sha256:1", 10, 10});
  EXPECT_EQ(captured.messages(),
            "debug msg=\"load metadata for base\"\ninfo msg=\"Retrieving image manifest base\"\n"
            "debug msg=\"sha256:1 10B / 10B\"\n");
}

}  // namespace
}  // namespace slipway::cli
