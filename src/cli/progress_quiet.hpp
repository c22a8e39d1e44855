// QuietProgress: nothing but warnings, and the last lines of a step that failed.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "cli/progress_reader.hpp"
#include "cli/step_log.hpp"

namespace slipway::cli {

class QuietProgress final : public ProgressReader {
 public:
  explicit QuietProgress(ProgressSetup setup) : setup_(std::move(setup)) {}
  void on(const progress::Event& event) override;
  void finish() override;

 private:
  struct Step {
    std::string name;
    StepLog log{Colours::kStrip};
    std::int64_t started = 0;
    bool failed = false;
  };
  ProgressSetup setup_;
  std::mutex mutex_;
  std::map<progress::VertexId, Step> steps_;
};

}  // namespace slipway::cli
