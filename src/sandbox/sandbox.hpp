// The sandbox: runs one command of a build on a root made of snapshots. Knows one run at a time; the door of this
// folder. docs/isolation.md is its page.
//
// Promises of every rung (invariants 7 and 8 of docs/security.md):
//  * own user, mount, pid, ipc, uts, cgroup and network namespaces (the network one shared only with --network host)
//  * descriptors 0, 1, 2 only; exactly the environment given; no new privileges beyond Docker's default capabilities
//  * Docker's default seccomp profile; masked and read-only paths of /proc; read-only /sys; minimal /dev with 64 MiB
//  /dev/shm
//  * whatever the step makes lands in `upper` and nothing else: no stub of a mount point stays behind
//  * every process of the step is dead when run() returns, and also when this process is killed -9
//  * the image's tree is touched only inside the step's mount namespace, by slipway-init, after it entered the user
//  namespace
//
//   Sandbox box = TRY(Sandbox::make({...}));
//   sys::ExitStatus status = TRY(box.run(spec, output, cancel));
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "sandbox/emulation.hpp"
#include "sys/child.hpp"
#include "sys/fd.hpp"

namespace slipway::sandbox {

/// RUN --security. Insecure: every capability of the step's user namespace, system calls unfiltered but for the
/// kernel's keyrings, /proc and /sys unmasked. The outer wall (that user namespace, the mount namespace, what is
/// read-only in it) stands as before.
enum class Security : unsigned char { kSandbox, kInsecure };

enum class NetworkMode : unsigned char {
  kDefault,  ///< outbound only; host addresses, host loopback, link-local and other steps are unreachable
  kNone,     ///< loopback only
  kHost,     ///< the caller's
};

/// A view of snapshots: read-only, or writable and forgotten (`discard_writes`), or writable and kept.
struct TreeMount {
  std::vector<std::string> lowers;  ///< snapshot directories, topmost first
  std::string source;               ///< path inside the tree, resolved inside it; a directory or a file
  std::string target;               ///< absolute path in the container
  bool discard_writes = false;
  /// Writable, and what is written lands in "fs" of this directory of the store, which has "fs" and "work" (a
  /// SnapshotDraft's): cache mounts.
  std::string keep_writes;
};
struct TmpfsMount {
  std::string target;
  std::int64_t size = 0;  ///< bytes; 0: no limit of its own
};
/// A directory of the store, writable and kept (cache mounts). Its files carry container ids like a snapshot's.
struct DirectoryMount {
  std::string directory;
  std::string target;
  bool read_only = false;
};
/// A file whose content exists only in the step's mount namespace on tmpfs (secrets).
struct FileMount {
  std::string content;
  std::string target;
  std::uint32_t mode = 0400, uid = 0, gid = 0;
  friend bool operator==(const FileMount&, const FileMount&) = default;
};

/// A listening socket whose name exists only in the step's mount namespace.
struct SocketMount {
  std::string target;
  std::uint32_t mode = 0600, uid = 0, gid = 0;
  /// Gets the listening descriptor before the command starts; called from the thread of run(). Must not block.
  std::function<void(sys::Fd listener)> serve;
};
/// A device node, file or directory of the machine. As a device it can be opened by whom its mode lets; nobody in a
/// step is its owner.
struct HostMount {
  std::string path;
  std::string target;
  bool device = false;
  bool read_only = false;  ///< then nothing inside can make it writable
  friend bool operator==(const HostMount&, const HostMount&) = default;
};

struct Ulimit {
  std::string name;                 ///< "nofile", "nproc", … as docker names them
  std::int64_t soft = 0, hard = 0;  ///< -1: unlimited
  friend bool operator==(const Ulimit&, const Ulimit&) = default;
};

inline constexpr std::string_view kHostGateway = "host-gateway";

struct Spec {
  std::vector<std::string> lowers;  ///< snapshot `fs` directories, topmost first; may be empty (FROM scratch)
  std::string upper, work;          ///< of a SnapshotDraft, on the store's file system
  std::vector<std::string> argv;    ///< argv[0] is looked up in the PATH of `environment` inside the root
  std::vector<std::string> environment;
  std::string working_directory = "/";  ///< must exist in the root
  std::uint32_t uid = 0, gid = 0;       ///< container ids
  std::vector<std::uint32_t> groups;
  std::string hostname = "buildkitsandbox";
  NetworkMode network = NetworkMode::kDefault;
  /// Name, address: lines of /etc/hosts. kHostGateway as address is what stands for this machine in the step's network.
  std::vector<std::pair<std::string, std::string>> extra_hosts;
  std::vector<Ulimit> ulimits;
  std::int64_t shm_bytes = 64 << 20;
  std::vector<TreeMount> trees;
  std::vector<TmpfsMount> tmpfs;
  std::vector<DirectoryMount> directories;
  std::vector<FileMount> files;
  std::vector<SocketMount> sockets;
  std::vector<HostMount> host_mounts;
  Security security = Security::kSandbox;
  std::string cgroup_parent;  ///< "/ci/job": a control group below which the step gets one; empty: none
  /// How long the command may run; 0: no limit. Then everything of it is killed, and the error is kDeadlineExceeded.
  std::int64_t timeout_ms = 0;
};

/// What the step writes, as it comes, from one thread: stream 1 or 2.
using Output = std::function<void(int stream, std::string_view bytes)>;

/// One probe of the machine: what `slipway doctor` prints.
struct Probe {
  std::string name;  ///< "user namespaces", "overlay in a user namespace", …
  bool ok = false;
  std::string detail;  ///< what was tried and what came back
  std::string knob;    ///< what to change where it failed: one line, or empty
};

struct Options {
  std::string root;               ///< the store's root: probes run on its file system
  std::string require_isolation;  ///< refuse weaker rungs than this one; empty: any
  bool reach_host = false;        ///< steps get an address for this machine's loopback: kHostGateway needs it
};

/// One way to isolate. Today: "overlay" (user namespace + overlayfs), rootful with id-mapped layers or inside a mapped
/// user namespace (rootless). Weaker rungs come as further implementations.
class Rung {
 public:
  virtual ~Rung() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual Result<sys::ExitStatus> run(const Spec& spec, const Output& output, const Cancel& cancel) = 0;
};

class Sandbox {
 public:
  /// Chooses the highest rung that the machine allows, by doing it once (about a millisecond). An error names the knob.
  static Result<Sandbox> make(const Options& options);
  Sandbox(Sandbox&&) noexcept;
  Sandbox& operator=(Sandbox&&) noexcept;
  ~Sandbox();
  /// One line for the user: "isolation: overlay (user namespace 0..65535 → 1879048192, id-mapped layers)".
  [[nodiscard]] const std::string& description() const;
  /// One line when steps have loopback only although they asked for more ("no network in steps: …"); empty otherwise.
  /// Known after warm_network() or the first run.
  [[nodiscard]] std::string network_note() const;
  /// Starts making network namespaces in the background; returns at once. Worth calling as soon as a step is likely.
  void warm_network();
  /// Runs to the end. The status is the command's; an Error means that it could not be started or was cancelled. May be
  /// called from many threads at once.
  [[nodiscard]] Result<sys::ExitStatus> run(const Spec& spec, const Output& output, const Cancel& cancel);
  /// Whether steps can run programs of `architecture` (as OCI calls it), found out by running one: some ten
  /// milliseconds. An Error means that no step could be run at all, or was cancelled.
  [[nodiscard]] Result<Emulation> emulation(std::string_view architecture, const Cancel& cancel);

 private:
  struct State;
  explicit Sandbox(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Every probe, each on its own, in a fixed order; never fails as a whole.
[[nodiscard]] std::vector<Probe> probe_machine(const Options& options);

/// For an ordinary user: makes this process uid 0 of a new user namespace with the ranges of /etc/subuid and
/// /etc/subgid (by newuidmap and newgidmap) and a private mount namespace. Must be called before any thread is started.
/// Does nothing for root. Errors name the knob: no subuid entry, newuidmap missing or not setuid,
/// kernel.unprivileged_userns_clone, apparmor_restrict_unprivileged_userns, …. Without ranges, or without the programs
/// that map them, the namespace has one id: root's (one_id_knob()).
[[nodiscard]] Status enter_rootless();

/// What to do about it where this process's user namespace has one id only; empty where it has more.
[[nodiscard]] std::string one_id_knob();

}  // namespace slipway::sandbox
