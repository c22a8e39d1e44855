// Orders: what the sandbox tells slipway-init, and what it answers. Values only; one description of the fields serves
// the writer (sandbox) and the reader (init), so that the two can not differ.
//
// Wire: orders are one sealed memory file that init inherits as descriptor `kOrdersFd`:
//   orders  = magic:u32 version:u32 field*         (fields in the order of `fields()` below, native byte order)
//   text    = size:u32 byte{size} NUL              (bytes may hold NULs; the last NUL is not counted)
//   list    = count:u32 item{count}
// Answers are datagrams on the socket `kControlFd`:
//   answer  = AnswerHead byte{text_size}
// The builder says "stop" by closing its end: the kernel does so too when it is killed.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

namespace slipway::init {

inline constexpr std::uint32_t kMagic = 0x49504c53;  // "SLPI"
inline constexpr std::uint32_t kVersion = 4;

// Descriptors that init starts with, besides 0 (/dev/null), 1 and 2 (the step's output).
inline constexpr int kControlFd = 3;
inline constexpr int kOrdersFd = 4;
inline constexpr int kUserNamespaceFd = 5;     ///< of every job but kUserNamespace
inline constexpr int kNetworkNamespaceFd = 6;  ///< when network is kJoin; and where an uplink's helper finds it
inline constexpr int kReadyFd = 7;             ///< where an uplink's helper writes something once it is ready

enum class Job : std::uint32_t {
  kUserNamespace,  ///< make a user namespace with `uid_map` and `gid_map`; answers with its descriptor
  kUplink,         ///< make a network namespace of that user namespace with `barred` unreachable, run the helper `argv`
                   ///< for it and keep it; answers with the namespace's descriptor once the helper is ready
  kStep,           ///< run a command
  kProbe,          ///< assemble the root as for a step, write one file into it, run nothing
};

enum class Network : std::uint32_t { kNew, kJoin, kHost };
enum class MountKind : std::uint32_t {
  kTree,
  kTmpfs,
  kDirectory,
  kFile,
  kSocket,  ///< a listening socket that exists in the step only; answers with its descriptor
  kHost,    ///< a device node, file or directory of the machine
};

/// How the sandbox holds orders: owning containers.
struct Owned {
  using Text = std::string;
  template <class T>
  using List = std::vector<T>;
};

struct IdMap {
  std::uint32_t inside = 0, outside = 0, count = 0;
};

/// A directory of the store (or a device node, file or directory of the machine) that init clones, id-mapped if asked,
/// before it enters the user namespace. What is read-only then can not be made writable inside, by nobody.
template <class P>
struct Base {
  typename P::Text path;
  bool id_mapped = false;
  bool read_only = false;
};

/// A path below a base: relative, chosen by us, free of symlinks.
template <class P>
struct Place {
  std::uint32_t base = 0;
  typename P::Text path;
};

/// One mount of the step. Which fields count depends on `kind`.
template <class P>
struct Mount {
  MountKind kind = MountKind::kTree;
  typename P::Text target;                     ///< absolute, cleaned; hostile
  typename P::template List<Place<P>> lowers;  ///< kTree: topmost first; kDirectory, kHost: the one place
  typename P::Text source;                     ///< kTree: path inside the tree; hostile
  bool read_only = false;                      ///< kTree, kDirectory, kHost
  bool discard_writes = false;                 ///< kTree
  Place<P> scratch;                            ///< kTree with discard_writes: an empty directory
  std::uint64_t size = 0;  ///< kTmpfs: bytes, 0 is the kernel's default; kSocket: its number, which the answer carries
  typename P::Text content;                  ///< kFile
  std::uint32_t mode = 0, uid = 0, gid = 0;  ///< kFile, kSocket
  bool over_link = false;                    ///< kFile: mount upon the last component even if it is a symlink
  bool optional = false;                     ///< kFile: skipped where the parent can not be had
  bool device = false;                       ///< kHost: a device node, to be used as such
};

template <class P>
struct Limit {
  typename P::Text name;
  std::uint32_t resource = 0;
  std::uint64_t soft = 0, hard = 0;
};

/// A destination that a network namespace must not reach: a prefix of an address family.
struct Barred {
  std::uint32_t family = 0;  ///< AF_INET or AF_INET6
  std::uint8_t address[16] = {};
  std::uint32_t prefix = 0;
};

template <class P>
struct Orders {
  Job job = Job::kStep;
  typename P::template List<IdMap> uid_map, gid_map;

  typename P::template List<Base<P>> bases;
  typename P::template List<Place<P>> lowers;  ///< topmost first, never empty
  Place<P> upper, work;
  bool one_call_overlay = false;  ///< mount(2) instead of fsconfig(2): for tests, and what init falls back to

  typename P::template List<typename P::Text> argv, environment;
  typename P::Text working_directory, hostname;
  std::uint32_t uid = 0, gid = 0;
  typename P::template List<std::uint32_t> groups;
  /// The user namespace gave up setgroups(2), as one that an ordinary user mapped alone has to (user_namespaces(7)):
  /// the user's own groups stay, and no file of the step's root has them.
  bool without_groups = false;
  bool insecure = false;  ///< all capabilities, the small filter, nothing of /proc masked (docs/isolation.md)
  std::uint32_t output_uid = 0, output_gid = 0;  ///< who owns the output pipes, in ids of the builder's namespace
  Network network = Network::kNew;
  std::uint32_t ready_ms = 0;                                ///< kUplink: how long the helper may take
  typename P::template List<typename P::Text> cgroup_procs;  ///< files to write "0" into
  bool cgroup_mount = false;                                 ///< mount cgroup2 read-only at /sys/fs/cgroup
  typename P::template List<Limit<P>> limits;
  std::uint64_t shm_bytes = 0;
  typename P::template List<Mount<P>> mounts;
  typename P::template List<Barred> barred;
};

template <class A>
void fields(A& a, IdMap& v) {
  a(v.inside, v.outside, v.count);
}
template <class A, class P>
void fields(A& a, Base<P>& v) {
  a(v.path, v.id_mapped, v.read_only);
}
template <class A, class P>
void fields(A& a, Place<P>& v) {
  a(v.base, v.path);
}
template <class A, class P>
void fields(A& a, Mount<P>& v) {
  a(v.kind, v.target, v.lowers, v.source, v.read_only, v.discard_writes, v.scratch, v.size, v.content, v.mode, v.uid,
    v.gid, v.over_link, v.optional, v.device);
}
template <class A, class P>
void fields(A& a, Limit<P>& v) {
  a(v.name, v.resource, v.soft, v.hard);
}
template <class A>
void fields(A& a, Barred& v) {
  a(v.family, v.prefix);
  for (auto& byte : v.address) a(byte);
}
template <class A, class P>
void fields(A& a, Orders<P>& v) {
  a(v.job, v.uid_map, v.gid_map, v.bases, v.lowers, v.upper, v.work, v.one_call_overlay, v.argv, v.environment,
    v.working_directory, v.hostname, v.uid, v.gid, v.groups, v.without_groups, v.insecure, v.output_uid, v.output_gid,
    v.network, v.ready_ms, v.cgroup_procs, v.cgroup_mount, v.limits, v.shm_bytes, v.mounts, v.barred);
}

/// Appends the wire form. Used by the sandbox.
class Writer {
 public:
  template <class... T>
  void operator()(T&... values) {
    (put(values), ...);
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  template <class T>
  void put(T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>)
      bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    else
      fields(*this, value);
  }
  void put(std::string& text) {
    auto size = static_cast<std::uint32_t>(text.size());
    put(size);
    bytes_.append(text.c_str(), text.size() + 1);
  }
  template <class T>
  void put(std::vector<T>& list) {
    auto count = static_cast<std::uint32_t>(list.size());
    put(count);
    for (T& item : list) put(item);
  }
  std::string bytes_;
};

/// The wire form of `orders`.
inline std::string encode(Orders<Owned>& orders) {
  Writer writer;
  std::uint32_t magic = kMagic, version = kVersion;
  writer(magic, version);
  fields(writer, orders);
  return writer.take();
}

enum class AnswerKind : std::uint32_t {
  kDescriptor,  ///< one descriptor rides along (SCM_RIGHTS); of a step: `number` is that of the kSocket mount
  kDone,        ///< the job is done
  kExited,      ///< the command ended: `number` is the exit code, `extra` the signal
  kNotStarted,  ///< exec failed: `number` is 126 or 127 as shells and runc use them, `text` says why
  kFailed,      ///< set-up failed: `number` is the errno (0: none), `text` what was being done
  kClean,       ///< follows kExited: the joined network namespace holds nothing of the step
};

struct AnswerHead {
  std::uint32_t version = kVersion;
  AnswerKind kind = AnswerKind::kDone;
  std::int32_t number = 0;
  std::int32_t extra = 0;
  std::uint32_t text_size = 0;
};
inline constexpr std::size_t kMaxAnswerText = 4096;

}  // namespace slipway::init
