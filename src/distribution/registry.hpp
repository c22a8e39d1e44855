// Registry: the OCI distribution API over a store: pulls, pushes, referrers, deletes, and a mirror of another registry.
// The door of this folder; what users read about it is docs/registry.md.
//
//   distribution::Registry registry(store, std::move(options));
//   TRY(server.run([&](httpd::Request& request, httpd::Answer& answer) { registry.handle(request, answer); }, cancel));
//
// Who may what: with a password file every user of it may read and write every repository, and nobody else anything;
// without one, everybody who can connect. A repository has the blobs and manifests that were pushed to it, and no
// others, whatever else lies in the store (store/repositories.hpp).
//
// A 201 is sent when what it tells of is durable. Errors are the specification's JSON. No text of a request is part of
// a path.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "distribution/htpasswd.hpp"
#include "httpd/server.hpp"
#include "registry/client.hpp"
#include "store/store.hpp"

namespace slipway::distribution {

/// The registry that is mirrored.
struct Upstream {
  std::string name;  ///< as references have it: "docker.io", "127.0.0.1:5000"
  registry::Trust trust = registry::Trust::kVerified;
  registry::Client* client = nullptr;  ///< outlives the Registry; nothing: never asked (offline)
  int fresh_seconds = 60;              ///< so long a tag is what it was when the upstream was last asked
  /// Images under the upstream's name in this scope of the store are served too; nothing: they are not.
  std::optional<std::string> image_scope = {};
  std::string mirror = {};  ///< what this mirror calls itself to it (via.hpp)
  /// From --mirror-of: "https://registry-1.docker.io", "http://127.0.0.1:5000", "docker.io". A path in it is an error.
  static Result<Upstream> parse(std::string_view url);
};

struct Options {
  bool read_only = false;
  std::unique_ptr<Htpasswd> users;   ///< nothing: everybody
  std::optional<Upstream> upstream;  ///< a mirror: pushes are refused
  int most_waiting = 768;  ///< requests that may wait for the upstream at the same time; fewer than the server handles
  std::function<void(const std::string& what)> log = [](const std::string&) {};  ///< one line, printable
};

class Registry {
 public:
  /// `store` outlives the object.
  Registry(store::Store& store, Options options);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  ~Registry();  ///< ends downloads from the upstream
  /// Any thread.
  void handle(httpd::Request& request, httpd::Answer& answer);

  struct State;  ///< distribution/state.hpp

 private:
  std::unique_ptr<State> state_;
};

}  // namespace slipway::distribution
