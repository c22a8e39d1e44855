#include "cli/progress_json.hpp"

#include <gtest/gtest.h>

namespace slipway::cli {
namespace {

using namespace progress;

TEST(JsonProgress, OneObjectPerEvent) {
  std::string text;
  JsonProgress reader(ProgressSetup{.write = [&](std::string_view bytes) { text += bytes; },
                                    .wall_clock = [] { return Timestamp{1'700'000'000, 500'000'000}; }});
  reader.on(Started{1, "[2/5] RUN make"});
  reader.on(Cached{1});
  reader.on(Finished{2, ""});
  reader.on(Finished{3, "exit code: 3"});
  reader.on(Log{1, 2, "hi\n\x1b[31m"});
  reader.on(Log{1, 1, "\xff\x00z"});
  reader.on(Transfer{1, "sha256:1a", 10, 20});
  reader.on(Transfer{1, "context", 10, -1});
  reader.on(Warning{"careful"});
  reader.on(Reason{.id = 4, .hit = true});
  reader.on(Reason{5, false, "file", "a\x1b", "a\\x1b changed"});
  reader.on(Reason{6, false, "file", "x", "x changed", "/src (bind)", "[1/2] COPY"});
  reader.finish();
  const std::string time = R"({"time":"2023-11-14T22:13:20.5Z","type":)";
  EXPECT_EQ(text, time + "\"started\",\"vertex\":1,\"name\":\"[2/5] RUN make\"}\n" +      //
                      time + "\"cached\",\"vertex\":1}\n" +                               //
                      time + "\"finished\",\"vertex\":2}\n" +                             //
                      time + "\"finished\",\"vertex\":3,\"error\":\"exit code: 3\"}\n" +  //
                      time + "\"log\",\"vertex\":1,\"stream\":2,\"text\":\"hi\\n\\u001b[31m\"}\n" + time +
                      "\"log\",\"vertex\":1,\"stream\":1,\"base64\":\"/w==\"}\n" + time +
                      "\"transfer\",\"vertex\":1,\"object\":\"sha256:1a\",\"done\":10,\"total\":20}\n" + time +
                      "\"transfer\",\"vertex\":1,\"object\":\"context\",\"done\":10}\n" + time +
                      "\"warning\",\"text\":\"careful\"}\n" + time + "\"reason\",\"vertex\":4,\"result\":\"hit\"}\n" +
                      time +
                      "\"reason\",\"vertex\":5,\"result\":\"miss\",\"kind\":\"file\",\"name\":\"a\\u001b\",\"text\":"
                      "\"a\\\\x1b changed\"}\n" +
                      time +
                      "\"reason\",\"vertex\":6,\"result\":\"miss\",\"kind\":\"file\",\"name\":\"x\",\"text\":"
                      "\"x changed\",\"mount\":\"/src (bind)\",\"follows\":\"[1/2] COPY\"}\n");
}

}  // namespace
}  // namespace slipway::cli
