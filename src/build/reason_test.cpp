// What is told of a step: the first difference in the order in which an author would ask.
#include "build/reason.hpp"

#include <gtest/gtest.h>

namespace slipway::build {
namespace {

Ingredient part(What what, std::string name = "", const std::string& value = "same") {
  return {.what = what,
          .name = std::move(name),
          .value = value_of(oci::Digest::of(value)),
          .via = {},
          .from = {},
          .listing = {}};
}
Ingredient files(const std::string& content, std::string from = "", std::string via = "") {
  Ingredient each = part(What::kFiles, "", content);
  each.listing = oci::Digest::of(content);
  each.from = std::move(from);
  each.via = std::move(via);
  return each;
}

struct ReasonTest : testing::Test {
  std::vector<Ingredient> before, now;
  bool same_text = true;
  std::optional<FileChange> change;
  std::string cause;

  std::optional<StepReason> reason() {
    return first_difference({.before = before,
                             .now = now,
                             .same_text = same_text,
                             .file = [&](const auto&, const auto&) { return change; },
                             .cause = [&](const auto&) { return cause; }});
  }
  std::string text() {
    const auto told = reason();
    return told ? told->kind + "|" + told->name + "|" + told->text : "nothing";
  }
};

TEST_F(ReasonTest, EachPartHasItsWords) {
  const struct {
    What what;
    const char* name;
    const char* told;
  } cases[] = {
      {What::kShell, "", "shell||SHELL changed"},
      {What::kCommand, "", "instruction||instruction text changed"},
      {What::kArgument, "VERSION", "arg|VERSION|ARG VERSION changed"},
      {What::kVariable, "PATH", "env|PATH|ENV PATH changed"},
      {What::kWorkdir, "", "workdir||WORKDIR changed"},
      {What::kUser, "", "user||USER changed"},
      {What::kNetwork, "", "network||its network mode changed"},
      {What::kHost, "db", "add-host|db|--add-host db changed"},
      {What::kUlimit, "nofile", "ulimit|nofile|--ulimit nofile changed"},
      {What::kShm, "", "shm-size||--shm-size changed"},
      {What::kMount, "/src (bind)", "mount|/src (bind)|the mount /src (bind) changed"},
      {What::kCacheId, "/c (cache)", "mount|/c (cache)|the id of the mount /c (cache) changed"},
      {What::kDestination, "", "destination||its destination changed"},
      {What::kSources, "", "sources||the sources it names changed"},
      {What::kOwner, "", "chown||its --chown changed"},
      {What::kMode, "", "chmod||its --chmod changed"},
      {What::kFlag, "exclude", "flag|exclude|its --exclude changed"},
      {What::kRemote, "0", "remote|0|what it fetches changed"},
      {What::kEpoch, "", "source-date-epoch||SOURCE_DATE_EPOCH changed"},
      {What::kBase, "docker.io/library/a:1", "base|docker.io/library/a:1|base image docker.io/library/a:1 changed"},
      {What::kFiles, "", "file||files that it takes changed"},
  };
  for (const auto& each : cases) {
    before = {part(each.what, each.name, "old")};
    now = {part(each.what, each.name, "new")};
    EXPECT_EQ(text(), each.told);
  }
  same_text = false;
  for (const What what : {What::kDestination, What::kSources}) {
    before = {part(what, "", "old")};
    now = {part(what, "", "new")};
    EXPECT_EQ(text(), "instruction||instruction text changed");
  }
}

TEST_F(ReasonTest, NothingDiffers) {
  before = now = {part(What::kCommand), part(What::kArgument, "A")};
  EXPECT_EQ(text(), "nothing");
  before = {part(What::kArgument, "A")};
  now = {part(What::kVariable, "A")};  // the same to a command
  EXPECT_EQ(text(), "nothing");
  before = {part(What::kVariable, "A"), part(What::kVariable, "B")};
  now = {part(What::kVariable, "B"), part(What::kVariable, "A")};
  EXPECT_EQ(text(), "order||the order of what it is made from changed");
}

TEST_F(ReasonTest, AddedAndRemovedVariables) {
  before = {part(What::kArgument, "A")};
  now = {part(What::kArgument, "A"), part(What::kArgument, "B")};
  EXPECT_EQ(text(), "arg|B|ARG B was added");
  std::swap(before, now);
  EXPECT_EQ(text(), "arg|B|ARG B was removed");
}

TEST_F(ReasonTest, WhatAStepSaysItselfComesBeforeWhatItStandsOn) {
  before = {part(What::kStep, "[1/3] COPY a", "old"), part(What::kArgument, "A"), part(What::kCommand)};
  now = {part(What::kStep, "[1/3] COPY a", "new"), part(What::kCommand)};
  EXPECT_EQ(text(), "arg|A|ARG A was removed");
  now.push_back(part(What::kArgument, "A", "other"));
  now[1] = part(What::kCommand, "", "other");
  EXPECT_EQ(text(), "instruction||instruction text changed");
}

TEST_F(ReasonTest, AConsequenceNamesItsCause) {
  before = {part(What::kStep, "[2/4] RUN make", "old")};
  now = {part(What::kStep, "[2/5] RUN make", "new")};
  cause = "[2/5] RUN make";
  EXPECT_EQ(text(), "step|[2/5] RUN make|the step before it changed ([2/5] RUN make)");
  cause = "[1/5] COPY src /src";
  EXPECT_EQ(text(), "step|[2/5] RUN make|follows from [1/5] COPY src /src");
  EXPECT_EQ(reason()->follows, cause);
}

TEST_F(ReasonTest, AnotherBase) {
  before = {part(What::kBase, "a:1", "old")};
  now = {part(What::kBase, "a:2", "new")};
  EXPECT_EQ(text(), "base|a:2|base image is a:2 now, was a:1");
  before = {part(What::kStep, "[x 1/1] RUN y", "old")};
  EXPECT_EQ(text(), "base|a:2|base image is a:2 now");
}

TEST_F(ReasonTest, FilesAreNamedWhereTheyAreKnown) {
  before = {files("old")};
  now = {files("new")};
  change = FileChange{FileChange::Kind::kContent, "src/app.js", false, 0};
  EXPECT_EQ(text(), "file|src/app.js|src/app.js changed");
  change = FileChange{FileChange::Kind::kAdded, "b", false, 2};
  EXPECT_EQ(text(), "file|b|file b was added, and 2 more");
  change = FileChange{FileChange::Kind::kRemoved, "d", true, 0};
  EXPECT_EQ(text(), "file|d|directory d was removed");
  change = FileChange{FileChange::Kind::kMode, "b", false, 0};
  EXPECT_EQ(text(), "file|b|the mode of file b changed");
  change = FileChange{FileChange::Kind::kOwner, "b", false, 0};
  EXPECT_EQ(text(), "file|b|the owner of file b changed");
  change = FileChange{FileChange::Kind::kType, "b\x1b", false, 0};
  EXPECT_EQ(text(), "file|b\x1b|file b\\x1b is of another type now");
}

TEST_F(ReasonTest, FilesOfAStageAndThroughAMount) {
  change = FileChange{FileChange::Kind::kContent, "out/app", false, 0};
  before = {files("old", "[build 3/3] RUN make")};
  now = {files("new", "[build 3/3] RUN make")};
  cause = "[build 2/3] COPY src /src";
  EXPECT_EQ(text(), "file|/out/app|/out/app changed (of [build 3/3] RUN make)");
  EXPECT_EQ(reason()->follows, cause);
  before = {files("old", "", "/src (bind)")};
  now = {files("new", "", "/src (bind)")};
  EXPECT_EQ(text(), "file|out/app|the mount /src (bind) changed: out/app changed");
  EXPECT_EQ(reason()->mount, "/src (bind)");
}

TEST_F(ReasonTest, FilesThatWereNotKnownBeforeComeLast) {
  before = {part(What::kStep, "[1/2] RUN a", "old")};
  now = {files("new", "[build 3/3] RUN make"), part(What::kStep, "[1/2] RUN a", "new")};
  EXPECT_EQ(text(), "step|[1/2] RUN a|the step before it changed ([1/2] RUN a)");
}

TEST(InCommon, CountsEqualIngredients) {
  const std::vector<Ingredient> a = {part(What::kCommand), part(What::kArgument, "A"), part(What::kArgument, "B", "1")};
  const std::vector<Ingredient> b = {part(What::kCommand), part(What::kVariable, "A"), part(What::kArgument, "B", "2"),
                                     part(What::kUser)};
  EXPECT_EQ(in_common(a, b), 500);
  EXPECT_EQ(in_common(a, a), 1000);
  EXPECT_EQ(in_common({}, {}), 1000);
  EXPECT_EQ(in_common(a, {}), 0);
}

}  // namespace
}  // namespace slipway::build
