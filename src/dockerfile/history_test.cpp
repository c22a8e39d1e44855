#include "dockerfile/history.hpp"

#include <gtest/gtest.h>

namespace slipway::dockerfile {
namespace {

// Texts recorded from BuildKit.
TEST(History, IsWhatBuildKitWrites) {
  EXPECT_EQ(history::arg({{"B", "over"}, {"C", {}}}), "ARG B=over C");
  EXPECT_EQ(history::arg({{"E", ""}}), "ARG E=");
  EXPECT_EQ(history::env({{"A", "1"}, {"B", "2 2"}, {"E", ""}}), "ENV A=1 B=2 2 E=");
  EXPECT_EQ(history::label({{"a", "1"}, {"b", "two words"}}), "LABEL a=1 b=two words");
  EXPECT_EQ(history::cmd({"mine"}), "CMD [\"mine\"]");
  EXPECT_EQ(history::cmd({}), "CMD []");
  EXPECT_EQ(history::entrypoint({"ok", "a\tb", "é"}), "ENTRYPOINT [\"ok\" \"a\\tb\" \"é\"]");
  EXPECT_EQ(history::expose({"22/tcp", "53/udp"}), "EXPOSE [22/tcp 53/udp]");
  EXPECT_EQ(history::volume({"/v"}), "VOLUME [/v]");
  EXPECT_EQ(history::shell({"/bin/sh", "-ec"}), "SHELL [/bin/sh -ec]");
  EXPECT_EQ(history::user("app"), "USER app");
  EXPECT_EQ(history::workdir("/w"), "WORKDIR /w");
  EXPECT_EQ(history::stop_signal("SIGUSR1"), "STOPSIGNAL SIGUSR1");
  EXPECT_EQ(history::maintainer("Jane Doe <jane@example.com>"), "MAINTAINER Jane Doe <jane@example.com>");
  Healthcheck check;
  check.test = {"CMD", "curl", "-f"};
  check.interval = 300'000'000'000;
  check.timeout = 3'000'000'000;
  check.start_period = 1'500'000'000;
  check.retries = 4;
  EXPECT_EQ(history::healthcheck(check),
            "HEALTHCHECK {Test:[CMD curl -f] Interval:5m0s Timeout:3s StartPeriod:1.5s StartInterval:0s Retries:4}");
  EXPECT_EQ(history::run({}, {"sh", "-c", "echo $X > /r"}), "RUN sh -c echo $X > /r # buildkit");
  EXPECT_EQ(history::run({"A=1", "C="}, {"/bin/sh", "-c", "true"}), "RUN |2 A=1 C= /bin/sh -c true # buildkit");
  Copy copy;
  copy.sources = {"f"};
  copy.inline_files = {{"g", "x", true}};
  copy.destination = "/m/";
  copy.from = "stage";
  copy.link = true;
  EXPECT_EQ(history::copy(copy), "COPY f <<g /m/ # buildkit");
  copy.add = true;
  copy.chmod = "640";
  copy.chown = "app";
  copy.parents = true;
  EXPECT_EQ(history::copy(copy), "ADD --parents --chown=app --chmod=640 f <<g /m/ # buildkit");
}

}  // namespace
}  // namespace slipway::dockerfile
