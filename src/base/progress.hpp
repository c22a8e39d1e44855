// Progress is data: the builder and the puller emit typed events; terminal, plain log and JSON lines are readers.
// Nobody prints from inside.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/error.hpp"

namespace slipway::progress {

using VertexId = std::uint64_t;  ///< unique within one command, in order of first appearance

/// A piece of work that the user sees as one line: "[2/5] RUN make". Emitted before anything else about `id`.
struct Started {
  VertexId id = 0;
  std::string name;
};
struct Cached {  ///< ends the vertex: nothing was run
  VertexId id = 0;
};
struct Finished {  ///< ends the vertex; `error` is empty on success
  VertexId id = 0;
  std::string error;
};
/// Bytes that a step printed, as they came (foreign: readers make them printable). `stream` 1 or 2.
struct Log {
  VertexId id = 0;
  int stream = 1;
  std::string bytes;
};
/// Bytes moved for one object below a vertex. `total` < 0: not known.
struct Transfer {
  VertexId id = 0;
  std::string object;  ///< e.g. "sha256:1a2b…" or "context"
  std::int64_t done = 0;
  std::int64_t total = -1;
};
struct Warning {  ///< something the user can change; one line
  std::string text;
};
/// Why a step of a build runs, told before it does; or that it was found recorded (`hit`, and nothing else is set).
struct Reason {
  VertexId id = 0;
  bool hit = false;
  std::string kind;          ///< one word for programs: "file", "arg", …; docs/why.md has them all
  std::string name;          ///< of what differs: a path, a variable, a step; may be empty. Foreign
  std::string text;          ///< one clause for people, printable: "src/app.js changed"
  std::string mount = {};    ///< the mount that a file is seen through: "/src (bind)"; may be empty. Foreign
  std::string follows = {};  ///< the name of the vertex from which this follows; may be empty
};
using Event = std::variant<Started, Cached, Finished, Log, Transfer, Warning, Reason>;

/// Reads events. Called from any thread; an implementation locks for itself and never blocks for long.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void on(const Event& event) = 0;
};

/// Drops everything: for callers that show nothing.
class NullSink final : public Sink {
 public:
  void on(const Event&) override {}
};

}  // namespace slipway::progress
