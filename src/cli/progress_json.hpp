// JsonProgress: progress for programs (--progress rawjson). One JSON object a line on standard error, one per event:
//
//   {"time":"2023-11-14T22:13:20.5Z","type":"started","vertex":1,"name":"[2/5] RUN make"}
//   {"time":…,"type":"cached","vertex":1}
//   {"time":…,"type":"finished","vertex":1}                         with "error" when it failed
//   {"time":…,"type":"log","vertex":1,"stream":1,"text":"…"}        "base64" in place of "text" where it is not UTF-8
//   {"time":…,"type":"transfer","vertex":1,"object":"sha256:…","done":10,"total":20}     without "total": not known
//   {"time":…,"type":"warning","text":"…"}
//   {"time":…,"type":"reason","vertex":1,"result":"hit"}            told before "cached" or before the step runs
//   {"time":…,"type":"reason","vertex":1,"result":"miss","kind":"file","name":"src/app.js","text":"src/app.js changed"}
//                                                          with "mount" and "follows" where they say something:
//                                                          docs/why.md
//
// Readers skip types and members that they do not know: both may be added.
#pragma once

#include <mutex>

#include "cli/progress_reader.hpp"

namespace slipway::cli {

class JsonProgress final : public ProgressReader {
 public:
  explicit JsonProgress(ProgressSetup setup) : setup_(std::move(setup)) {}
  void on(const progress::Event& event) override;
  void finish() override {}

 private:
  ProgressSetup setup_;
  std::mutex mutex_;
};

}  // namespace slipway::cli
