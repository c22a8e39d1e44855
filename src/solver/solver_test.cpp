#include "solver/solver.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>

#include "base/queue.hpp"

namespace slipway::solver {
namespace {

struct Text final : Output {
  explicit Text(std::string text) : value(std::move(text)) {}
  std::string value;
};

const std::string& text(const OutputPtr& output) { return static_cast<const Text&>(*output).value; }

/// Concatenates its name and its inputs; counts what was asked of it.
class Concat final : public Op {
 public:
  explicit Concat(std::string name, std::string result = "") : name_(std::move(name)), result_(std::move(result)) {}
  Result<Key> definition(const Cancel&) override { return Key::of(name_); }
  Result<Key> content(std::size_t, const Output& output, const Cancel&) override {
    return Key::of(static_cast<const Text&>(output).value);
  }
  Result<OutputPtr> load(std::string_view value, const std::vector<Key>&, const Cancel&) override {
    ++loads;
    if (lose_records) return fail(Code::kNotFound, "gone");
    return std::make_shared<Text>(std::string(value));
  }
  Result<OutputPtr> run(const std::vector<OutputPtr>& inputs, const Cancel& cancel) override {
    ++runs;
    if (gate != nullptr) (void)gate->pop();
    if (hang && cancel.wait_for(60'000)) TRY(cancel.check());
    if (broken) return fail(Code::kInternal, "{} is broken", name_);
    if (!result_.empty()) return std::make_shared<Text>(result_);
    std::string out = name_;
    for (const auto& input : inputs) out += "(" + text(input) + ")";
    return std::make_shared<Text>(out);
  }
  Result<std::string> finish(const Output& output, const Cancel&) override {
    ++finishes;
    return static_cast<const Text&>(output).value;
  }
  Status may_run() const override {
    return refused ? fail(Code::kFailedPrecondition, "{} may not run", name_) : Status();
  }
  std::atomic<int> runs = 0, loads = 0, finishes = 0;
  bool recorded() const override { return is.empty(); }
  std::string identity() const override { return is; }
  std::string is;  ///< a source's
  bool refused = false;
  bool broken = false, hang = false, lose_records = false;
  Queue<int>* gate = nullptr;

 private:
  std::string name_, result_;
};

class MemoryRecords final : public Records {
 public:
  Result<std::optional<Record>> find(std::size_t, const Key& key) override {
    const std::lock_guard lock(mutex);
    const auto found = records.find(key);
    if (found == records.end()) return std::nullopt;
    return found->second;
  }
  Status put(const Key& key, const Record& record) override {
    const std::lock_guard lock(mutex);
    records.insert_or_assign(key, record);
    return {};
  }
  Result<std::unique_ptr<Lock>> lock(const Key&, const Cancel&) override { return std::make_unique<Lock>(); }
  std::mutex mutex;
  std::map<Key, Record> records;
};

struct Quiet final : Observer {
  void started(std::size_t) override { ++starts; }
  void judged(std::size_t vertex, const Verdict& verdict) override {
    const std::lock_guard lock(mutex);
    verdicts.insert_or_assign(vertex, verdict);
  }
  void cached(std::size_t) override { ++hits; }
  void finished(std::size_t, const Error*) override {}
  std::atomic<int> starts = 0, hits = 0;
  std::mutex mutex;
  std::map<std::size_t, Verdict> verdicts;
};

struct Fixture : testing::Test {
  Result<std::vector<OutputPtr>> solve(const Graph& graph, std::vector<std::size_t> targets) {
    observer.verdicts.clear();
    return solver::solve(graph, targets, records, observer, {}, cancel);
  }
  static std::shared_ptr<Concat> op(std::string name, std::string result = "") {
    return std::make_shared<Concat>(std::move(name), std::move(result));
  }
  MemoryRecords records;
  Quiet observer;
  Cancel cancel;
};
using SolverTest = Fixture;

TEST_F(SolverTest, RunsOnlyWhatTheTargetNeeds) {
  Graph graph;
  auto a = op("a"), b = op("b"), unused = op("unused");
  unused->broken = true;
  const auto va = graph.add({a, {}});
  graph.add({unused, {}});
  const auto vb = graph.add({b, {{va}}});
  EXPECT_EQ(text((*solve(graph, {vb}))[0]), "b(a)");
  EXPECT_EQ(unused->runs, 0);
}

TEST_F(SolverTest, HitsWithoutTouchingInputs) {
  for (int round = 0; round < 2; ++round) {
    Graph graph;
    auto a = op("a"), b = op("b");
    const auto vb = graph.add({b, {{graph.add({a, {}})}}});
    EXPECT_EQ(text((*solve(graph, {vb}))[0]), "b(a)");
    EXPECT_EQ(a->runs + a->loads, round == 0 ? 1 : 0);
    EXPECT_EQ(b->loads, round == 0 ? 0 : 1);
  }
}

TEST_F(SolverTest, WhatMayNotRunIsRefusedUnlessItIsRecorded) {
  const auto build = [&](const std::string& first, bool refused, int expected_runs) {
    Graph graph;
    auto a = op(first), b = op("b");
    b->refused = refused;
    auto done = solve(graph, {graph.add({b, {{graph.add({a, {}})}}})});
    EXPECT_EQ(b->runs, expected_runs);
    return done;
  };
  EXPECT_EQ(build("a", true, 0).error().what(), "b may not run");
  EXPECT_TRUE(build("a", false, 1));
  EXPECT_TRUE(build("a", true, 0));   // recorded
  EXPECT_FALSE(build("c", true, 0));  // upon something else it would have to run
}

TEST_F(SolverTest, AHitIsToldWithAllThatLedToIt) {
  for (int round = 0; round < 2; ++round) {
    observer.starts = observer.hits = 0;
    Graph graph;
    const auto one = graph.add({op("one"), {}});
    const auto two = graph.add({op("two"), {{one}}});
    const auto unused = graph.add({op("unused"), {{one}}});
    const auto three = graph.add({op("three"), {{two}, {graph.add({op("other"), {}}), true}}});
    (void)unused;
    ASSERT_TRUE(solve(graph, {three}));
    EXPECT_EQ(observer.starts, 4);
    EXPECT_EQ(observer.hits, round == 0 ? 0 : 4);
  }
}

TEST_F(SolverTest, EqualVerticesRunOnce) {
  Graph graph;
  auto a = op("same"), b = op("same"), join = op("join");
  const auto target = graph.add({join, {{graph.add({a, {}})}, {graph.add({b, {}})}}});
  EXPECT_EQ(text((*solve(graph, {target}))[0]), "join(same)(same)");
  EXPECT_EQ(a->runs + b->runs, 1);
  EXPECT_EQ(observer.hits, 0);  // whichever ran, the other is not called cached
  ASSERT_TRUE(solve(graph, {target}));
  EXPECT_EQ(observer.hits, 3);
}

/// A source's key may be anybody's claim: what it gives is for those who name the same source.
TEST_F(SolverTest, SourcesOfOneKeyAreKeptApartByWhatTheyAre) {
  Graph graph;
  auto mine = op("base", "mine"), again = op("base", "mine"), thiefs = op("base", "the thief's");
  mine->is = again->is = "mine";
  thiefs->is = "the thief's";
  const auto source = graph.add({mine, {}}), same = graph.add({again, {}}), other = graph.add({thiefs, {}});
  const auto step = graph.add({op("step"), {{source}}, true}), equal = graph.add({op("step"), {{same}}, true}),
             twin = graph.add({op("step"), {{other}}, true});
  const auto outputs = solve(graph, {twin, step, equal});
  ASSERT_TRUE(outputs);
  EXPECT_EQ(text((*outputs)[0]), "step(the thief's)");
  EXPECT_EQ(text((*outputs)[1]), "step(mine)");
  EXPECT_EQ((*outputs)[1], (*outputs)[2]) << "one source by two names is one thing";
  EXPECT_EQ(mine->runs + again->runs, 1);
}

TEST_F(SolverTest, WhoseTheContentIsDoesNotMatter) {
  Graph graph;
  auto mine = op("a", "content"), other = op("b", "content"), first = op("copy", "copied"),
       second = op("copy", "copied");
  mine->is = "mine";
  other->is = "the other's";
  const auto one = graph.add({first, {{graph.add({mine, {}}), true}}, true});
  const auto two = graph.add({second, {{graph.add({other, {}}), true}}, true});
  ASSERT_TRUE(solve(graph, {one, two}));
  EXPECT_EQ(first->runs + second->runs, 1);
}

TEST_F(SolverTest, EqualContentHitsAlthoughTheInputChanged) {
  for (const auto* source : {"one", "two"}) {
    Graph graph;
    auto input = op(source, "artefact"), copy = op("copy"), after = op("after");
    const auto vc = graph.add({copy, {{graph.add({input, {}}), true}}});
    const auto va = graph.add({after, {{vc}}});
    ASSERT_TRUE(solve(graph, {va}));
    EXPECT_EQ(input->runs, 1);
    EXPECT_EQ(copy->runs + after->runs, std::string(source) == "one" ? 2 : 0) << source;
  }
  // … and the second input now hits by its fast key: no content needed.
  Graph graph;
  auto input = op("two", "artefact"), copy = op("copy");
  const auto vc = graph.add({copy, {{graph.add({input, {}}), true}}});
  ASSERT_TRUE(solve(graph, {vc}));
  EXPECT_EQ(input->runs, 0);
  EXPECT_EQ(input->loads, 0);
}

TEST_F(SolverTest, AStageStartsBeforeTheContentOfAnotherIsKnown) {
  // `first` of the target's own stage must run while `other` is held up: it opens the gate itself.
  struct Opener final : Op {
    explicit Opener(Queue<int>& queue) : gate(queue) {}
    Result<Key> definition(const Cancel&) override { return Key::of("first"); }
    Result<OutputPtr> load(std::string_view, const std::vector<Key>&, const Cancel&) override {
      return fail(Code::kNotFound, "");
    }
    Result<OutputPtr> run(const std::vector<OutputPtr>&, const Cancel&) override {
      gate.push(1);
      return std::make_shared<Text>("first");
    }
    Result<std::string> finish(const Output&, const Cancel&) override { return std::string("first"); }
    Queue<int>& gate;
  };
  Queue<int> gate(4);
  Graph graph;
  auto other = op("other"), copy = op("copy"), last = op("last");
  other->gate = &gate;
  const auto vf = graph.add({std::make_shared<Opener>(gate), {}});
  const auto vo = graph.add({other, {}});
  const auto vc = graph.add({copy, {{vf}, {vo, true}}});
  const auto vl = graph.add({last, {{vc}}});
  EXPECT_EQ(text((*solve(graph, {vl}))[0]), "last(copy(first)(other))");
}

TEST_F(SolverTest, PreparesWhatIsGoingToRunWhileItsInputsAreMade) {
  struct Preparer final : Op {
    explicit Preparer(Queue<int>& queue) : gate(queue) {}
    Result<Key> definition(const Cancel&) override { return Key::of("preparer"); }
    Result<OutputPtr> load(std::string_view, const std::vector<Key>&, const Cancel&) override {
      return std::make_shared<Text>("loaded");
    }
    void prepare() override { gate.push(1); }
    Result<OutputPtr> run(const std::vector<OutputPtr>&, const Cancel&) override {
      return std::make_shared<Text>("ran");
    }
    Result<std::string> finish(const Output&, const Cancel&) override { return std::string("ran"); }
    Queue<int>& gate;
  };
  Queue<int> gate(4);
  for (int round = 0; round < 2; ++round) {
    Graph graph;
    auto input = op("input");
    input->gate = &gate;  // runs only after its dependent was prepared; in the second round nothing runs
    const auto vp = graph.add({std::make_shared<Preparer>(gate), {{graph.add({input, {}})}}});
    EXPECT_EQ(text((*solve(graph, {vp}))[0]), round == 0 ? "ran" : "loaded");
  }
  gate.close();
  EXPECT_FALSE(gate.pop());  // a hit prepares nothing
}

TEST_F(SolverTest, FailureKeepsWhatRanAndRecordsNothingOfTheFailed) {
  Graph graph;
  auto a = op("a"), b = op("b");
  b->broken = true;
  const auto vb = graph.add({b, {{graph.add({a, {}})}}});
  EXPECT_EQ(solve(graph, {vb}).error().what(), "b is broken");
  EXPECT_EQ(records.records.size(), 1u);
  EXPECT_EQ(a->finishes, 1);
  EXPECT_EQ(b->finishes, 0);
}

TEST_F(SolverTest, FailureStopsItsNeighbours) {
  Graph graph;
  auto slow = op("slow"), broken = op("broken"), join = op("join");
  slow->hang = true;
  broken->broken = true;
  const auto target = graph.add({join, {{graph.add({slow, {}})}, {graph.add({broken, {}})}}});
  EXPECT_EQ(solve(graph, {target}).error().what(), "broken is broken");
  EXPECT_TRUE(records.records.empty());
}

TEST_F(SolverTest, CancelEndsInCancelled) {
  CancelSource source;
  cancel = source.cancel();
  source.fire("interrupted");
  Graph graph;
  auto slow = op("slow");
  slow->hang = true;
  const auto target = graph.add({slow, {}});
  EXPECT_EQ(solve(graph, {target}).error().code(), Code::kCancelled);
  EXPECT_TRUE(records.records.empty());
}

TEST_F(SolverTest, ALostRecordRunsAgain) {
  for (int round = 0; round < 2; ++round) {
    Graph graph;
    auto a = op("a");
    a->lose_records = true;
    ASSERT_TRUE(solve(graph, {graph.add({a, {}})}));
    EXPECT_EQ(a->runs, 1) << round;
  }
}

TEST_F(SolverTest, IgnoringRecordsRunsButRecords) {
  for (int round = 0; round < 2; ++round) {
    Graph graph;
    auto a = op("a");
    ASSERT_TRUE(solve(graph, {graph.add({a, {}, true})}));
    EXPECT_EQ(a->runs, 1);
  }
  EXPECT_EQ(records.records.size(), 1u);
}

TEST_F(SolverTest, TheVerdictSaysWhyAVertexRuns) {
  using Found = Verdict::Found;
  const auto build = [&](const char* source, bool ignore = false, bool lose = false) {
    Graph graph;
    const auto input = graph.add({op(source, "artefact"), {}});
    const auto copy = graph.add({op("copy"), {{graph.add({op("base"), {}})}, {input, true}}, ignore});
    auto last = op("last");
    last->lose_records = lose;
    const auto target = graph.add({last, {{copy}}});
    EXPECT_TRUE(solve(graph, {target}));
    return std::pair(copy, target);
  };
  const auto [copy, last] = build("one");
  EXPECT_EQ(observer.verdicts.size(), 4u);
  const Verdict first = observer.verdicts.at(copy);
  EXPECT_EQ(first.found, Found::kNothing);
  EXPECT_EQ(first.inputs.size(), 2u);
  ASSERT_EQ(first.contents.size(), 2u);
  EXPECT_FALSE(first.contents[0]);
  EXPECT_EQ(first.contents[1], Key::of("artefact"));

  build("one");
  EXPECT_EQ(observer.verdicts.size(), 4u);
  for (const auto& [vertex, verdict] : observer.verdicts) EXPECT_EQ(verdict.found, Found::kRecord) << vertex;
  EXPECT_EQ(observer.verdicts.at(copy).fast, first.fast);
  EXPECT_FALSE(observer.verdicts.at(copy).contents[1]) << "a fast hit asks for no content";

  build("two");
  EXPECT_EQ(observer.verdicts.at(copy).found, Found::kRecord);
  EXPECT_EQ(observer.verdicts.at(copy).contents[1], Key::of("artefact")) << "a slow hit does";
  EXPECT_NE(observer.verdicts.at(copy).fast, first.fast);

  build("two", true);
  EXPECT_EQ(observer.verdicts.at(copy).found, Found::kNotAsked);
  EXPECT_EQ(observer.verdicts.at(last).found, Found::kNotAsked) << "it stands upon what ignores records";
  build("two", false, true);
  EXPECT_EQ(observer.verdicts.at(last).found, Found::kLost);
}

TEST_F(SolverTest, AFailedVertexWasJudged) {
  Graph graph;
  auto broken = op("broken");
  broken->broken = true;
  const auto v = graph.add({broken, {}});
  EXPECT_FALSE(solve(graph, {v, graph.add({op("after"), {{v}}})}));
  ASSERT_EQ(observer.verdicts.size(), 1u);
  EXPECT_EQ(observer.verdicts.at(v).found, Verdict::Found::kNothing);
}

TEST_F(SolverTest, TenThousandVerticesInARow) {
  Graph graph;
  std::size_t last = graph.add({op("0", "x"), {}});
  for (int i = 1; i < 10'000; ++i) last = graph.add({op(std::to_string(i), "x"), {{last}}});
  ASSERT_TRUE(solve(graph, {last}));
  EXPECT_EQ(records.records.size(), 10'000u);
}

/// base → forced → above, and `taker` takes `above` by content over a base of its own.
struct Forced {
  std::shared_ptr<Concat> forced, above, own, taker;
  Graph graph;
  std::size_t target = 0;
  explicit Forced(bool ignore, std::string result = "")
      : forced(Fixture::op("forced", result)),
        above(Fixture::op("above", result)),
        own(Fixture::op("own")),
        taker(Fixture::op("taker")) {
    const auto v = graph.add({above, {{graph.add({forced, {}, ignore})}}});
    target = graph.add({taker, {{graph.add({own, {}})}, {v, true}}});
  }
};

TEST_F(SolverTest, WhatIgnoresRecordsRunsThoughALaterRecordIsThere) {
  Forced first(false);
  ASSERT_TRUE(solve(first.graph, {first.target}));
  Forced second(true);
  ASSERT_TRUE(solve(second.graph, {second.target}));
  EXPECT_EQ(second.forced->runs, 1);
  EXPECT_EQ(second.above->runs, 1) << "it is made upon what ran anew";
  EXPECT_EQ(second.taker->runs, 0) << "the content is the same";
  EXPECT_EQ(second.own->runs, 0);
  Forced third(false);
  ASSERT_TRUE(solve(third.graph, {third.target}));
  EXPECT_EQ(third.forced->runs + third.above->runs + third.taker->runs, 0);
}

TEST_F(SolverTest, WhatIgnoresRecordsAndComesOutOtherwiseIsTakenAnew) {
  Forced first(false);
  ASSERT_TRUE(solve(first.graph, {first.target}));
  Forced second(true, "changed");
  EXPECT_EQ(text((*solve(second.graph, {second.target}))[0]), "taker(own)(changed)");
  EXPECT_EQ(second.taker->runs, 1);
  Forced third(false);
  EXPECT_EQ(text((*solve(third.graph, {third.target}))[0]), "taker(own)(changed)") << "the new records count";
  EXPECT_EQ(third.taker->runs, 0);
}

}  // namespace
}  // namespace slipway::solver
