// The solver: decides what must run, runs each thing once, in parallel, and remembers. It knows nothing of containers.
//
// Words. A *vertex* is an op with inputs (other vertices). Its *definition* digest names everything that decides the
// result but the inputs. Its *fast key* = H(definition, keys of the inputs). An input may be taken *by content*: then a
// miss on the fast key is followed by a look-up of the *slow key* = H(definition, content of those inputs, keys of the
// others): a changed input with equal content still hits. The *key* that a vertex shows to its dependents is the slow
// key where it has one, else the fast key; a record carries it, so that a fast hit needs no content. A *record* is what
// a finished vertex left under its keys.
//
// Life of a vertex: definition → fast look-up → [inputs' outputs → content → slow look-up] → on demand: load the
// record's output, or wait for the inputs' outputs, lock the key against other processes, look again, run → dependents
// may start → finish (makes the result durable, in the background) → record. A failed or cancelled vertex leaves no
// record.
//
// Threads: solve() owns the graph on the calling thread and only runs state machines; ops run on pools and post back
// through one queue. Finishing has threads of its own: it never waits for a key lock, so two processes can not wait for
// each other.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "oci/digest.hpp"

namespace slipway::solver {

using Key = oci::Digest;

/// What running a vertex gives to its dependents: opaque here. Read from many threads.
class Output {
 public:
  virtual ~Output() = default;
  /// False when it is not what its key says (a context changed after it was looked at): good for this build, but not
  /// to be found again. What stands upon it must say the same.
  [[nodiscard]] virtual bool recordable() const { return true; }
};
using OutputPtr = std::shared_ptr<const Output>;

/// What a vertex does. Every method may be called from any thread, one call at a time but for prepare().
class Op {
 public:
  virtual ~Op() = default;
  /// Digest of all that decides the result but the inputs. May read files (a context), called once.
  [[nodiscard]] virtual Result<Key> definition(const Cancel& cancel) = 0;
  /// Digest of what this op reads of a by-content input.
  [[nodiscard]] virtual Result<Key> content(std::size_t input, const Output& output, const Cancel& cancel);
  /// The output again, from a record's value. kNotFound means: the record is of no use any more, run.
  [[nodiscard]] virtual Result<OutputPtr> load(std::string_view value, const std::vector<Key>& input_keys,
                                               const Cancel& cancel) = 0;
  /// Called in the background once run() is likely to be called, perhaps while inputs are still being made: a chance to
  /// have slow things at hand. What fails here fails again in run().
  virtual void prepare() {}
  /// Asked when it is known that nothing is recorded, before the inputs' outputs are waited for: an Error fails the
  /// vertex. No I/O: it is called by the solving thread.
  [[nodiscard]] virtual Status may_run() const { return {}; }
  [[nodiscard]] virtual Result<OutputPtr> run(const std::vector<OutputPtr>& inputs, const Cancel& cancel) = 0;
  /// Makes the output durable and gives the record's value. Called after run(), when every input was finished.
  [[nodiscard]] virtual Result<std::string> finish(const Output& output, const Cancel& cancel) = 0;
  /// False for sources: nothing is looked up or recorded.
  [[nodiscard]] virtual bool recorded() const { return true; }
  /// What a source is when its key is only what it claims to be. Vertices of one key share an output where those that
  /// they stand on are the same by this too. Asked once, before anything runs.
  [[nodiscard]] virtual std::string identity() const { return {}; }
};

struct Input {
  std::size_t vertex = 0;
  bool by_content = false;
  friend bool operator==(const Input&, const Input&) = default;
};

struct Vertex {
  std::shared_ptr<Op> op;
  std::vector<Input> inputs;  ///< indices of vertices added before
  /// --no-cache: run, and record anew; so does what is made upon it. What takes it by content looks for that content.
  bool ignore_records = false;
};

class Graph {
 public:
  /// Gives the index. Inputs must exist: a graph has no cycles by construction.
  std::size_t add(Vertex vertex);
  [[nodiscard]] const std::vector<Vertex>& vertices() const { return vertices_; }

 private:
  std::vector<Vertex> vertices_;
};

struct Record {
  Key key;  ///< the key that dependents see
  std::string value;
};

/// Where records live. Thread safe.
class Records {
 public:
  virtual ~Records() = default;
  /// The record with its objects claimed for this command, or nothing.
  [[nodiscard]] virtual Result<std::optional<Record>> find(std::size_t vertex, const Key& key) = 0;
  [[nodiscard]] virtual Status put(const Key& key, const Record& record) = 0;
  /// Asked of a vertex that has no record under `key`, its fast or its slow one: what is known of it elsewhere or by
  /// other names. `outputs`, by input: those that are there. Empty at first; it is asked again, with the slow key, once
  /// those taken by content are.
  [[nodiscard]] virtual Result<std::optional<Record>> find_otherwise(std::size_t vertex, const Key& key,
                                                                     const std::vector<OutputPtr>& outputs) {
    (void)vertex, (void)key, (void)outputs;
    return std::nullopt;
  }
  /// Held while an equal vertex runs in any process; released when the object dies.
  class Lock {
   public:
    virtual ~Lock() = default;
  };
  [[nodiscard]] virtual Result<std::unique_ptr<Lock>> lock(const Key& key, const Cancel& cancel) = 0;
};

/// What a vertex's keys were made of, and what the look-ups gave.
struct Verdict {
  enum class Found : unsigned char {
    kRecord,    ///< a hit: of a record, or of an equal vertex of this graph
    kNothing,   ///< no record under any key
    kLost,      ///< a record, but its output could not be loaded any more
    kNotAsked,  ///< Vertex::ignore_records, of this vertex or of what it stands upon
    kSource,    ///< a source is about to run: nothing is recorded of it
  };
  Found found = Found::kNothing;
  Key fast;                                  ///< the fast key
  std::vector<Key> inputs;                   ///< keys of the inputs
  std::vector<std::optional<Key>> contents;  ///< by input: of those taken by content, unless the fast key had hit
};

/// Hears of vertices; called on the solving thread (started, cached, finished) and on workers (judged), never twice at
/// once for one vertex. A vertex that is found recorded is told after all that led to it, as far as they have not been
/// told yet.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void started(std::size_t vertex) = 0;
  /// For every vertex that was started, before cached() or before its op runs, after all inputs that run have been
  /// told. Of one that runs it is called on the worker that is about to run it. Told again of a vertex that was taken
  /// for a hit on the word of what it leads to, and was needed after all: the last word counts.
  virtual void judged(std::size_t vertex, const Verdict& verdict) = 0;
  virtual void cached(std::size_t vertex) = 0;
  virtual void finished(std::size_t vertex, const Error* error) = 0;
};

/// What became of a vertex, as far as it was looked at: for who tells others of it.
struct Solved {
  std::optional<Key> fast, key;      ///< the fast key, and the one that dependents see
  std::optional<std::string> value;  ///< of its record, when that was a hit
  OutputPtr output;                  ///< when something needed it
};

struct Options {
  std::size_t parallelism = 2;            ///< vertices that run at once
  std::vector<Solved>* solved = nullptr;  ///< gets what became of every vertex, by number
};

/// Solves `targets` and what they need, nothing else. Gives their outputs in order, all finished. On the first error no
/// new vertex starts and running ones are cancelled, but what had run is still finished and recorded; the first error
/// is given.
[[nodiscard]] Result<std::vector<OutputPtr>> solve(const Graph& graph, const std::vector<std::size_t>& targets,
                                                   Records& records, Observer& observer, const Options& options,
                                                   const Cancel& cancel);

}  // namespace slipway::solver
