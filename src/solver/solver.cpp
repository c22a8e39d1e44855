#include "solver/solver.hpp"

#include <deque>
#include <functional>
#include <map>
#include <set>

#include "base/pool.hpp"
#include "base/queue.hpp"

namespace slipway::solver {

Result<Key> Op::content(std::size_t, const Output&, const Cancel&) {
  return fail(Code::kInternal, "an op without by-content inputs was asked for one");
}

std::size_t Graph::add(Vertex vertex) {
  vertices_.push_back(std::move(vertex));
  return vertices_.size() - 1;
}

namespace {

enum class Desire : unsigned char { kNone, kKey, kOutput };
enum class Step : unsigned char { kTodo, kRunning, kDone };

/// The state machine of one vertex; touched by the solving thread only.
struct Node {
  Desire desire = Desire::kNone;
  Step definition = Step::kTodo, fast = Step::kTodo, content = Step::kTodo, output_step = Step::kTodo,
       finish = Step::kTodo;
  std::optional<Key> definition_key, fast_key, key;
  std::optional<Record> record;
  OutputPtr output;
  bool missed =
      false;  // surely no record: its inputs' outputs will be needed, so they may start before its key is known
  bool announced = false;
  bool lost = false;                         // a record was found, but not its output
  std::vector<std::optional<Key>> contents;  // by input, once the slow key was made
  bool ran = false;                          // its output was made by run() here, so it must be finished and recorded
  std::size_t owner = SIZE_MAX;              // the vertex of equal key whose output this one takes
  std::string stands_on;                     // the identities of what leads to it; empty where none has one
  std::unique_ptr<Records::Lock> lock;
  std::vector<std::size_t> dependents;
};

/// Posted by workers, run on the solving thread.
using Event = std::function<void()>;

Key combine(const Key& definition, const std::vector<std::string>& parts) {
  oci::Hasher hash;
  hash.update("slipway vertex 1\n");
  hash.update(definition.text());
  for (const auto& part : parts) {
    hash.update("\n");
    hash.update(part);
  }
  return hash.finish();
}

class Solve {
 public:
  Solve(const Graph& graph, Records& records, Observer& observer, const Options& options, const Cancel& cancel)
      : graph_(graph),
        records_(records),
        observer_(observer),
        user_(cancel),
        stop_(cancel),
        nodes_(graph.vertices().size()),
        forced_(graph.vertices().size()),
        events_(1 << 20),
        solved_(options.solved),
        light_(2),
        finishers_(2),
        runners_(std::max<std::size_t>(1, options.parallelism)) {
    for (std::size_t v = 0; v < nodes_.size(); ++v) {
      for (const Input& input : vertex(v).inputs) nodes_[input.vertex].dependents.push_back(v);
      forced_[v] = force(v);
      nodes_[v].stands_on = standing(v);
    }
  }

  Result<std::vector<OutputPtr>> run(const std::vector<std::size_t>& targets) {
    for (const std::size_t target : targets) want(target, Desire::kOutput);
    settle();
    while (in_flight_ > 0) {
      auto event = events_.pop();
      --in_flight_;
      (*event)();
      settle();
    }
    if (solved_ != nullptr)
      for (const Node& node : nodes_)
        solved_->push_back(
            {node.fast_key, node.key, node.record ? std::optional(node.record->value) : std::nullopt, node.output});
    if (error_) return std::unexpected(*error_);
    TRY(user_.check());
    std::vector<OutputPtr> outputs;
    for (const std::size_t target : targets) {
      if (!nodes_[target].output || nodes_[target].finish != Step::kDone)
        return fail(Code::kInternal, "the solver stopped before vertex {} was finished", target);
      outputs.push_back(nodes_[target].output);
    }
    return outputs;
  }

 private:
  const Vertex& vertex(std::size_t v) const { return graph_.vertices()[v]; }

  /// What ignore_records does to a vertex and to all that stands upon it: nothing may be answered by a record that
  /// would keep it from running. Inputs have lower indices.
  struct Forced {
    bool runs = false;      ///< it ignores records, or is made upon something that runs anew
    bool below = false;     ///< something that leads to it runs anew
    bool contents = false;  ///< so does what leads to an input by content: what that holds must be seen first
  };
  Forced force(std::size_t v) const {
    Forced forced{.runs = vertex(v).ignore_records};
    for (const Input& input : vertex(v).inputs) {
      const Forced& of = forced_[input.vertex];
      forced.runs = forced.runs || (!input.by_content && of.runs);
      forced.contents = forced.contents || (input.by_content && of.below);
      forced.below = forced.below || of.below;
    }
    forced.below = forced.below || forced.runs;
    return forced;
  }
  /// What a vertex takes by content it has seen: whose it was is no matter. Inputs have lower indices.
  std::string standing(std::size_t v) const {
    std::vector<std::string> parts = {vertex(v).op->identity()};
    bool any = !parts[0].empty();
    for (const Input& input : vertex(v).inputs) {
      parts.push_back(input.by_content ? "" : nodes_[input.vertex].stands_on);
      any = any || !parts.back().empty();
    }
    return any ? combine(Key::of("identity"), parts).text() : std::string();
  }

  bool stopped() const { return error_.has_value() || user_.fired(); }

  void want(std::size_t v, Desire desire) {
    if (nodes_[v].desire >= desire) return;
    nodes_[v].desire = desire;
    touch(v);
  }
  void touch(std::size_t v) { agenda_.push_back(v); }
  void touch_dependents(std::size_t v) {
    for (const std::size_t d : nodes_[v].dependents) touch(d);
  }
  void settle() {
    while (!agenda_.empty()) {
      const std::size_t v = agenda_.front();
      agenda_.pop_front();
      advance(v);
    }
  }

  /// Runs `work` on `pool`; `then` gets its answer on the solving thread.
  template <class Work, class Then>
  void post(Pool& pool, Work work, Then then) {
    ++in_flight_;
    pool.add([this, work = std::move(work), then = std::move(then)]() mutable {
      auto answer = std::make_shared<decltype(work())>(work());
      events_.push([then = std::move(then), answer]() mutable { then(std::move(*answer)); });
    });
  }

  void fail_vertex(std::size_t v, Error error) {
    if (nodes_[v].announced && nodes_[v].output_step == Step::kRunning) observer_.finished(v, &error);
    nodes_[v].output_step = Step::kDone;
    nodes_[v].lock.reset();
    if (!error_) error_ = std::move(error);
    stop_.fire("another step failed");
  }

  void announce(std::size_t v) {
    if (nodes_[v].announced) return;
    nodes_[v].announced = true;
    observer_.started(v);
  }

  // Moves one vertex as far as it goes without waiting.
  void advance(std::size_t v) {
    Node& node = nodes_[v];
    if (node.output && node.finish == Step::kTodo) try_finish(v);
    if (node.desire == Desire::kNone || stopped()) return;
    if (!node.key) advance_key(v);
    note_miss(v);
    if (node.missed && node.desire == Desire::kOutput && !node.record)
      for (const Input& input : vertex(v).inputs) want(input.vertex, Desire::kOutput);
    if (node.key && node.desire == Desire::kOutput && node.output_step == Step::kTodo) advance_output(v);
  }

  void advance_key(std::size_t v) {
    Node& node = nodes_[v];
    if (node.definition == Step::kTodo) {
      node.definition = Step::kRunning;
      post(
          light_, [this, v] { return vertex(v).op->definition(stop_.cancel()); },
          [this, v](Result<Key> key) {
            if (!key) return fail_vertex(v, std::move(key).error());
            nodes_[v].definition_key = *key;
            nodes_[v].definition = Step::kDone;
            touch(v);
          });
    }
    bool keys = node.definition_key.has_value();
    for (const Input& input : vertex(v).inputs) {
      want(input.vertex, Desire::kKey);
      keys = keys && nodes_[input.vertex].key.has_value();
    }
    if (!keys) return;
    if (node.fast == Step::kTodo) return look_up_fast(v);
    if (node.fast == Step::kDone && node.content == Step::kTodo) look_up_slow(v);
  }

  // A vertex over an input that has to run can have no record itself, whatever its key turns out to be. Without this, a
  // stage would wait for the content of another stage before its own first step starts. A wrong guess only costs work.
  void note_miss(std::size_t v) {
    Node& node = nodes_[v];
    if (node.missed || node.record || !vertex(v).op->recorded()) return;
    bool missed = forced_[v].runs || node.content == Step::kDone || (node.fast == Step::kDone && !by_content(v));
    for (const Input& input : vertex(v).inputs) missed = missed || (!input.by_content && nodes_[input.vertex].missed);
    if (!missed) return;
    node.missed = true;
    touch_dependents(v);
    post(
        light_,
        [this, v] {
          vertex(v).op->prepare();
          return true;
        },
        [](bool) {});
  }

  std::vector<Key> input_keys(std::size_t v) const {
    std::vector<Key> keys;
    for (const Input& input : vertex(v).inputs) keys.push_back(*nodes_[input.vertex].key);
    return keys;
  }

  bool by_content(std::size_t v) const {
    for (const Input& input : vertex(v).inputs)
      if (input.by_content) return true;
    return false;
  }

  bool looks_up(std::size_t v) const { return vertex(v).op->recorded() && !forced_[v].runs; }

  void look_up_fast(std::size_t v) {
    Node& node = nodes_[v];
    std::vector<std::string> parts;
    for (const Key& key : input_keys(v)) parts.push_back(key.text());
    node.fast_key = combine(*node.definition_key, parts);
    node.fast = Step::kRunning;
    if (!looks_up(v) || forced_[v].contents) return fast_answer(v, std::optional<Record>{});
    post(
        light_, [this, v, key = *node.fast_key] { return find(v, key, {}); },
        [this, v](Result<std::optional<Record>> record) { fast_answer(v, std::move(record)); });
  }

  /// A record under the key, or what is known of the vertex otherwise.
  Result<std::optional<Record>> find(std::size_t v, const Key& key, const std::vector<OutputPtr>& outputs) {
    auto record = TRY(records_.find(v, key));
    if (!record) record = TRY(records_.find_otherwise(v, key, outputs));
    return record;
  }

  void fast_answer(std::size_t v, Result<std::optional<Record>> record) {
    if (!record) return fail_vertex(v, std::move(record).error());
    Node& node = nodes_[v];
    node.fast = Step::kDone;
    if (*record) {
      node.record = std::move(*record);
      set_key(v, node.record->key);
    } else if (!by_content(v)) {
      set_key(v, *node.fast_key);
    }
    touch(v);
  }

  void set_key(std::size_t v, const Key& key) {
    nodes_[v].key = key;
    touch(v);
    touch_dependents(v);
  }

  void look_up_slow(std::size_t v) {
    bool ready = true;
    for (const Input& input : vertex(v).inputs) {
      if (!input.by_content) continue;
      want(input.vertex, Desire::kOutput);
      ready = ready && nodes_[input.vertex].output != nullptr;
    }
    if (!ready) return;
    Node& node = nodes_[v];
    node.content = Step::kRunning;
    std::vector<OutputPtr> outputs;
    for (const Input& input : vertex(v).inputs) outputs.push_back(nodes_[input.vertex].output);
    post(
        light_,
        [this, v, outputs, keys = input_keys(v), definition = *node.definition_key]() -> Result<Slow> {
          Slow slow{definition, std::vector<std::optional<Key>>(keys.size()), std::nullopt};
          std::vector<std::string> parts;
          for (std::size_t i = 0; i < keys.size(); ++i) {
            if (vertex(v).inputs[i].by_content) {
              slow.contents[i] = TRY(vertex(v).op->content(i, *outputs[i], stop_.cancel()));
              parts.push_back("content " + slow.contents[i]->text());
            } else {
              parts.push_back(keys[i].text());
            }
          }
          slow.key = combine(definition, parts);
          if (looks_up(v)) slow.record = TRY(find(v, slow.key, outputs));
          return slow;
        },
        [this, v](Result<Slow> slow) {
          if (!slow) return fail_vertex(v, std::move(slow).error());
          nodes_[v].content = Step::kDone;
          nodes_[v].contents = std::move(slow->contents);
          nodes_[v].record = std::move(slow->record);
          if (nodes_[v].record) remember_fast(v);
          set_key(v, nodes_[v].record ? nodes_[v].record->key : slow->key);
        });
  }

  struct Slow {
    Key key;
    std::vector<std::optional<Key>> contents;
    std::optional<Record> record;
  };

  Verdict verdict(std::size_t v, Verdict::Found found) const {
    const Node& node = nodes_[v];
    Verdict verdict{found, *node.fast_key, input_keys(v), node.contents};
    verdict.contents.resize(verdict.inputs.size());
    return verdict;
  }

  // A slow hit is recorded under the fast key too: the next build needs no content.
  void remember_fast(std::size_t v) {
    post(
        finishers_, [this, key = *nodes_[v].fast_key, record = *nodes_[v].record] { return records_.put(key, record); },
        [this, v](Status put) {
          if (!put) fail_vertex(v, std::move(put).error());
        });
  }

  void advance_output(std::size_t v) {
    Node& node = nodes_[v];
    if (node.record) return load(v);
    const auto [owner, first] = owners_.try_emplace({*node.key, node.stands_on}, v);
    if (owner->second != v) return take_from(v, owner->second);
    if (Status may = vertex(v).op->may_run(); !may) return fail_vertex(v, std::move(may).error());
    std::vector<OutputPtr> inputs;
    for (const Input& input : vertex(v).inputs) {
      want(input.vertex, Desire::kOutput);
      if (nodes_[input.vertex].output) inputs.push_back(nodes_[input.vertex].output);
    }
    if (inputs.size() != vertex(v).inputs.size()) return;
    execute(v, std::move(inputs));
  }

  // A hit is one of all that led to it as well, though nothing of that is loaded: people count cached steps.
  void announce_hit(std::size_t v) {
    std::set<std::size_t> led;  // inputs have lower indices than what they lead to
    std::vector<std::size_t> pending{v};
    while (!pending.empty()) {
      const std::size_t at = pending.back();
      pending.pop_back();
      for (const Input& input : vertex(at).inputs) {
        const Node& node = nodes_[input.vertex];
        if (node.announced || node.missed || node.desire == Desire::kOutput) continue;
        if (led.insert(input.vertex).second) pending.push_back(input.vertex);
      }
    }
    for (const std::size_t hit : led) {
      announce(hit);
      tell_cached(hit);
    }
    announce(v);
  }

  void tell_cached(std::size_t v) {
    observer_.judged(v, verdict(v, Verdict::Found::kRecord));
    observer_.cached(v);
  }

  void load(std::size_t v) {
    Node& node = nodes_[v];
    node.output_step = Step::kRunning;
    announce_hit(v);
    post(
        light_,
        [this, v, value = node.record->value, keys = input_keys(v)] {
          return vertex(v).op->load(value, keys, stop_.cancel());
        },
        [this, v](Result<OutputPtr> output) {
          Node& done = nodes_[v];
          if (!output && output.error().code() == Code::kNotFound) {
            done.record.reset();  // its bytes went away: make it again
            done.lost = true;
            done.output_step = Step::kTodo;
            return touch(v);
          }
          if (!output) return fail_vertex(v, std::move(output).error());
          loaded(v, *std::move(output));
        });
  }

  void loaded(std::size_t v, OutputPtr output) {
    // A twin may have run and put its record in between.
    const auto owner = owners_.find({*nodes_[v].key, nodes_[v].stands_on});
    const bool ran = owner != owners_.end() && owner->second != v && nodes_[owner->second].ran;
    told(v, ran, std::move(output));
  }

  void take_from(std::size_t v, std::size_t owner) {
    Node& node = nodes_[v];
    want(owner, Desire::kOutput);
    if (node.owner == SIZE_MAX) {
      node.owner = owner;
      nodes_[owner].dependents.push_back(v);
    }
    if (!nodes_[owner].output || nodes_[owner].finish != Step::kDone) return;
    announce(v);
    node.output_step = Step::kRunning;
    told(v, nodes_[owner].ran, nodes_[owner].output);
  }

  /// Gives what is here already. Which of two equal vertices came first is chance: where one ran, both are told so.
  void told(std::size_t v, bool ran, OutputPtr output) {
    const auto take = [this, v, output = std::move(output)] {
      nodes_[v].finish = Step::kDone;
      give(v, output);
    };
    if (!ran) {
      tell_cached(v);
      return take();
    }
    post(
        light_,
        [this, v, verdict = verdict(v, miss(v))] {
          observer_.judged(v, verdict);
          return true;
        },
        [this, v, take](bool) {
          observer_.finished(v, nullptr);
          take();
        });
  }

  void give(std::size_t v, OutputPtr output) {
    nodes_[v].output_step = Step::kDone;
    nodes_[v].output = std::move(output);
    touch(v);
    touch_dependents(v);
  }

  Verdict::Found miss(std::size_t v) const {
    if (!vertex(v).op->recorded()) return Verdict::Found::kSource;
    if (forced_[v].runs) return Verdict::Found::kNotAsked;
    return nodes_[v].lost ? Verdict::Found::kLost : Verdict::Found::kNothing;
  }

  struct Executed {
    OutputPtr output;
    std::optional<Record> record;  // another process had it ready
    std::unique_ptr<Records::Lock> lock;
  };

  void execute(std::size_t v, std::vector<OutputPtr> inputs) {
    nodes_[v].output_step = Step::kRunning;
    announce(v);
    post(
        runners_,
        [this, v, inputs = std::move(inputs), key = *nodes_[v].key,
         verdict = verdict(v, miss(v))]() mutable -> Result<Executed> {
          Executed done;
          TRY(stop_.cancel().check());
          Op& op = *vertex(v).op;
          if (op.recorded()) done.lock = TRY(records_.lock(key, stop_.cancel()));
          if (looks_up(v)) done.record = TRY(records_.find(v, key));
          if (done.record) {
            auto output = op.load(done.record->value, verdict.inputs, stop_.cancel());
            if (output) {
              done.output = *std::move(output);
              return done;
            }
            if (output.error().code() != Code::kNotFound) return std::unexpected(std::move(output).error());
            done.record.reset();
            verdict.found = Verdict::Found::kLost;
          }
          observer_.judged(v, verdict);
          done.output = TRY(op.run(inputs, stop_.cancel()));
          return done;
        },
        [this, v](Result<Executed> done) {
          if (!done) return fail_vertex(v, std::move(done).error());
          Node& node = nodes_[v];
          if (done->record) {
            node.record = std::move(done->record);
            return loaded(v, std::move(done->output));
          }
          observer_.finished(v, nullptr);
          node.ran = true;
          node.lock = std::move(done->lock);
          give(v, std::move(done->output));
        });
  }

  // Also after another vertex failed: what has run is worth keeping.
  void try_finish(std::size_t v) {
    Node& node = nodes_[v];
    if (user_.fired()) return;
    for (const Input& input : vertex(v).inputs)
      if (nodes_[input.vertex].ran && nodes_[input.vertex].finish != Step::kDone) return;
    node.finish = Step::kRunning;
    post(
        finishers_,
        [this, v, output = node.output, key = *node.key, fast = *node.fast_key]() -> Status {
          Op& op = *vertex(v).op;
          std::string value = TRY(op.finish(*output, user_));
          if (!op.recorded() || !output->recordable()) return {};
          const Record record{key, std::move(value)};
          TRY(records_.put(key, record));
          if (fast != key) TRY(records_.put(fast, record));
          return {};
        },
        [this, v](Status done) {
          nodes_[v].lock.reset();
          if (!done) return fail_vertex(v, std::move(done).error());
          nodes_[v].finish = Step::kDone;
          touch(v);
          touch_dependents(v);
        });
  }

  const Graph& graph_;
  Records& records_;
  Observer& observer_;
  const Cancel user_;
  CancelSource stop_;
  std::vector<Node> nodes_;
  std::vector<Forced> forced_;
  std::map<std::pair<Key, std::string>, std::size_t> owners_;  // by key and what it stands on
  std::deque<std::size_t> agenda_;
  std::optional<Error> error_;
  std::size_t in_flight_ = 0;
  Queue<Event> events_;
  std::vector<Solved>* solved_;
  Pool light_, finishers_, runners_;  // last: their tasks use what stands above
};

}  // namespace

Result<std::vector<OutputPtr>> solve(const Graph& graph, const std::vector<std::size_t>& targets, Records& records,
                                     Observer& observer, const Options& options, const Cancel& cancel) {
  Solve solve(graph, records, observer, options, cancel);
  return solve.run(targets);
}

}  // namespace slipway::solver
