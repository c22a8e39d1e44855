// ExecutorLog: the log as kaniko writes it (logrus), for people and scripts that read job logs.
//
//   INFO[0003] RUN make                                      --log-format color: seconds since the start
//   time="2026-11-30T15:46:55Z" level=info msg="RUN make"    text
//   {"level":"info","msg":"RUN make","time":"2026-…Z"}       json, one object a line
//
// Log lines go to standard error. What steps print goes where it came from, as it came.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "cli/executor/options.hpp"
#include "cli/progress_reader.hpp"

namespace slipway::cli {

/// Everything that is taken from outside; tests give their own.
struct ExecutorLogSetup {
  LogSettings settings;
  std::function<void(std::string_view)> log = [](std::string_view) {};     ///< standard error
  std::function<void(std::string_view)> output = [](std::string_view) {};  ///< standard output, at once
  std::function<std::int64_t()> clock = [] { return std::int64_t{0}; };    ///< monotonic milliseconds
  std::function<Timestamp()> wall_clock = [] { return Timestamp{}; };
};

/// One line of the log with its line feed; `text` is foreign. Nothing for what `settings` leave out.
[[nodiscard]] std::string log_line(const LogSettings& settings, LogLevel level, std::string_view text,
                                   std::int64_t milliseconds, Timestamp time);

/// Thread safe.
class ExecutorLog final : public progress::Sink {
 public:
  explicit ExecutorLog(ExecutorLogSetup setup) : setup_(std::move(setup)), started_(setup_.clock()) {}
  void say(LogLevel level, std::string_view text);
  void info(std::string_view text) { say(LogLevel::kInfo, text); }
  void on(const progress::Event& event) override;

 private:
  struct Step {
    std::string name;  ///< as shown by others: "[2/5] RUN make"
    bool announced = false;
    std::map<std::string, bool> moved;      ///< objects whose transfer has ended
    std::array<std::string, 2> unfinished;  ///< of a line, by stream
  };
  void write(LogLevel level, std::string_view text);
  void announce(Step& step);
  void print(int stream, const std::string& lines);
  void handle(const progress::Started& event);
  void handle(const progress::Cached& event);
  void handle(const progress::Finished& event);
  void handle(const progress::Log& event);
  void handle(const progress::Transfer& event);
  void handle(const progress::Warning& event);
  void handle(const progress::Reason& event);

  std::mutex mutex_;
  ExecutorLogSetup setup_;
  std::int64_t started_;
  std::map<progress::VertexId, Step> steps_;
};

}  // namespace slipway::cli
