// The keys that BuildKit gives to vertices: digests of what its Dockerfile frontend makes of an instruction, as its
// solver computes them (solver/llbsolver/ops, frontend/dockerfile/dockerfile2llb, cache/contenthash). What is hashed is
// JSON as Go writes it, so the order of members and what is left out is part of the promise.
//
// Values only: what an instruction means is build's matter, and so is walking over files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "oci/digest.hpp"
#include "oci/platform.hpp"

namespace slipway::buildcache {

/// The digest of the record of a vertex's first output.
[[nodiscard]] oci::Digest output_key(const oci::Digest& vertex);
/// The digest of the record that stands for a content.
[[nodiscard]] oci::Digest content_key(const oci::Digest& content);

/// An image has two keys: by its manifest (or index) and platform, and by its layers.
[[nodiscard]] oci::Digest image_by_manifest(const oci::Digest& target, const oci::Platform& platform);
[[nodiscard]] oci::Digest image_by_layers(const oci::ChainId& chain);

/// The selector of the paths that a file operation takes of an input.
[[nodiscard]] std::string paths_selector(std::vector<std::string> paths);
/// The selector of what an exec mounts of an input: "/" for all of it.
[[nodiscard]] std::string mount_selector(std::string_view path);

/// A user or group: a name to be looked up, or a number.
struct Account {
  std::string name;  ///< empty: `id`
  std::uint32_t id = 0;
};
struct Owner {
  std::optional<Account> user, group;
  std::int64_t input = 0;  ///< where names are looked up; -1: nowhere
  /// "app:1001", "root", "5": as --chown and USER have it.
  static Owner parse(std::string_view text, std::int64_t input);
};

struct CopyAction {
  std::string source;  ///< absolute
  std::string target;  ///< absolute; a slash at its end counts
  std::optional<Owner> owner;
  std::string chmod;  ///< octal or symbolic; empty: as it is
  bool unpack = false;
  bool document = false;  ///< an inline document: a plain file, no wildcards
  std::vector<std::string> includes = {}, excludes = {}, required = {};
  std::int64_t input = 1;  ///< which input of the operation it takes from
};
/// COPY and ADD: several actions, one upon the other. `base`: there is something below, input 0.
[[nodiscard]] oci::Digest copy_digest(const std::vector<CopyAction>& actions, bool base, std::size_t inputs);

/// An inline document: a file upon nothing.
[[nodiscard]] oci::Digest document_digest(std::string_view path, int mode, std::string_view bytes);
/// WORKDIR. `epoch`: SOURCE_DATE_EPOCH, seconds.
[[nodiscard]] oci::Digest workdir_digest(std::string_view path, const std::optional<Owner>& owner,
                                         std::optional<std::int64_t> epoch, bool base);
/// COPY --link: `inputs` layers upon each other.
[[nodiscard]] oci::Digest merge_digest(std::size_t inputs);

struct ExecMount {
  enum class Type : unsigned char { kBind = 0, kSecret = 1, kSsh = 2, kCache = 3, kTmpfs = 4 };
  Type type = Type::kBind;
  std::int64_t input = -1;  ///< -1: none
  std::string target;
  std::int64_t output = -1;  ///< -1: none; 0 of secrets and ssh, as BuildKit has it
  bool read_only = false;
  std::int64_t size = 0;                     ///< tmpfs
  std::string id;                            ///< cache, secret, ssh
  int sharing = 0;                           ///< cache: shared, private, locked
  std::uint32_t uid = 0, gid = 0, mode = 0;  ///< secret, ssh
  bool optional = false;                     ///< secret, ssh
};
struct SecretVariable {
  std::string id, name;
  bool optional = false;
};
struct ExecUlimit {
  std::string name;
  std::int64_t soft = 0, hard = 0;
};

struct Exec {
  std::vector<std::string> arguments, environment;
  std::string directory, user, hostname, cgroup_parent;
  std::vector<std::string> extra_hosts;  ///< names
  std::vector<ExecUlimit> ulimits;
  std::vector<ExecMount> mounts;  ///< besides the root, in BuildKit's order
  int network = 0;                ///< sandbox, host, none
  bool insecure = false;
  std::vector<SecretVariable> secrets;
  oci::Platform platform;
};
[[nodiscard]] oci::Digest exec_digest(const Exec& exec);

/// What is hashed of a file before its bytes.
struct FileHead {
  char type = '0';  ///< tar's: '0' file, '2' symlink, '3' character device, '4' block device, '5' directory, '6' fifo
  std::uint32_t mode = 0, uid = 0, gid = 0;  ///< mode: permissions with set-id bits and sticky
  std::int64_t size = 0, major = 0, minor = 0;
  std::string link;
  std::vector<std::pair<std::string, std::string>> xattrs;  ///< sorted by name; those that count
  [[nodiscard]] std::string text() const;
};
/// Whether an attribute counts.
[[nodiscard]] bool counts_in_sum(std::string_view xattr);

/// The digest of things below one another: `path` as BuildKit writes it (see tree_path).
class ListSum {
 public:
  void add(std::string_view path, const oci::Digest& digest);
  [[nodiscard]] oci::Digest finish() { return hash_.finish(); }

 private:
  oci::Hasher hash_;
};
/// The digest of what a step takes: of its sums, in the order of their paths.
[[nodiscard]] oci::Digest content_of(const std::vector<oci::Digest>& sums);

}  // namespace slipway::buildcache
