// Repositories: what a registry keeps in the store (`slipway registry`): which repository links which blobs and
// manifests, its tags, and uploads that are not finished.
//
//   const Repositories own(store, "");                            // what was pushed; a mirror's scope is its upstream
//   Upload upload = TRY(own.begin_upload("team/app"));
//   TRY(upload.write(bytes));
//   TRY(upload.commit({.digest = digest}));                       // verified, durable, linked
//   const auto missing = TRY(own.put_manifest("team/app", manifest, {"1.0"}));    // empty: it is there
//
// A blob is one file for the whole store, but a repository has it only by a link: bytes that a builder, or another
// repository, keeps under the same digest are not served (docs/security.md, invariant 10). Links are roots of gc:
// manifests until they are deleted, blobs as long as a manifest of the repository names them and for kUnnamedBlobLife
// after they were pushed or asked for. What a mirror links can be fetched again: it goes with build records when there
// is no room, the least recently used first. Uploads lie in uploads/<id> until they are finished, dropped, or untouched
// for kUploadLife.
//
// Names of repositories and tags are taken as they come: checking them is the caller's part. No name becomes a path.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "oci/digest.hpp"
#include "store/store.hpp"

namespace slipway::store {

inline constexpr std::int64_t kUnnamedBlobLife = 86'400;  ///< seconds
inline constexpr std::int64_t kUploadLife = 86'400;       ///< seconds without a byte
inline constexpr std::int64_t kUseSeconds = 60;           ///< how exactly last uses are known

/// A manifest or index that a repository links.
struct LinkedManifest {
  oci::Digest digest;
  std::string media_type;
  std::int64_t size = 0;
};

struct Tag {
  LinkedManifest manifest;
  std::int64_t checked = 0;  ///< seconds since the epoch: when it was set, or an upstream last said so
};

/// A manifest to be linked. Its blob is in the store.
struct NewManifest {
  oci::Digest digest;
  std::string media_type;
  std::optional<oci::Digest> subject;
  std::vector<oci::Digest> blobs;      ///< config and layers that the repository must have
  std::vector<oci::Digest> manifests;  ///< entries of an index, likewise
  bool sparse = false;  ///< links it also when something is missing (a mirror fetches it when it is asked)
};

/// A repository, for people.
struct RepositorySummary {
  std::string scope, name;
  std::int64_t tags = 0, manifests = 0;
  std::int64_t bytes = 0;   ///< of its blobs that are here
  std::int64_t linked = 0;  ///< seconds since the epoch: when a manifest was last pushed or fetched
  std::int64_t used = 0;    ///< when one was last asked for; of a mirror only
};

/// A manifest or index of a repository, for people.
struct RepositoryEntry {
  LinkedManifest manifest;
  std::vector<std::string> tags;
  bool listed = false;     ///< an index of the repository names it
  std::int64_t bytes = 0;  ///< of all that it needs, as far as it is here
  std::int64_t linked = 0, used = 0;
};

/// What a removal took, and what gc frees because of it.
struct Removed {
  std::vector<std::string> tags;
  std::vector<oci::Digest> manifests;
  std::int64_t freed_bytes = 0;
};

class Upload;

class Repositories {
 public:
  /// The store outlives the object and its uploads.
  Repositories(Store& store, std::string scope) : store_(&store), scope_(std::move(scope)) {}

  [[nodiscard]] Result<bool> exists(std::string_view repository) const;
  /// Names in order, after `last`, at most `most`.
  [[nodiscard]] Result<std::vector<std::string>> list(std::string_view last, std::int64_t most) const;
  [[nodiscard]] Result<std::vector<std::string>> tags(std::string_view repository, std::string_view last,
                                                      std::int64_t most) const;
  [[nodiscard]] Result<std::optional<Tag>> find_tag(std::string_view repository, std::string_view tag) const;
  [[nodiscard]] Result<std::optional<LinkedManifest>> find_manifest(std::string_view repository,
                                                                    const oci::Digest& digest) const;
  /// A blob or manifest that the repository links, when its bytes are known to the store.
  [[nodiscard]] Result<std::optional<Blob>> find_blob(std::string_view repository, const oci::Digest& digest) const;
  /// Likewise of any repository of the scope.
  [[nodiscard]] Result<std::optional<Blob>> find_blob_anywhere(const oci::Digest& digest) const;
  /// Manifests whose subject is `subject`, in order of digest, after `last`.
  [[nodiscard]] Result<std::vector<LinkedManifest>> referrers(std::string_view repository, const oci::Digest& subject,
                                                              const std::optional<oci::Digest>& last,
                                                              std::int64_t most) const;

  // What follows is durable when it returns.

  /// Links a blob that the store has; kNotFound when it has not (any more).
  [[nodiscard]] Status link_blob(std::string_view repository, const oci::Digest& digest);
  /// Somebody asked for a blob, and may name it in a manifest soon: its link's life begins anew, once an hour at most.
  /// Not durable: losing it costs an upload.
  [[nodiscard]] Status renew_blob(std::string_view repository, const oci::Digest& digest);
  /// A manifest of a mirror was asked for: gc takes what was used least recently first. Written once in kUseSeconds at
  /// most. Not durable.
  [[nodiscard]] Status note_use(std::string_view repository, const oci::Digest& digest);
  /// Links a manifest and points `tags` at it. Gives what the repository does not have of what it names: then nothing
  /// was done.
  [[nodiscard]] Result<std::vector<oci::Digest>> put_manifest(std::string_view repository, const NewManifest& manifest,
                                                              const std::vector<std::string>& tags);
  /// An upstream says that a tag is still what it was. Not durable: losing it costs a question.
  [[nodiscard]] Status confirm_tag(std::string_view repository, std::string_view tag);
  [[nodiscard]] Result<bool> remove_tag(std::string_view repository, std::string_view tag);
  /// With the tags that point at it.
  [[nodiscard]] Result<bool> remove_manifest(std::string_view repository, const oci::Digest& digest);
  [[nodiscard]] Result<bool> remove_blob(std::string_view repository, const oci::Digest& digest);

  // For people (repository_list.cpp).

  /// All repositories of all scopes, by name.
  [[nodiscard]] static Result<std::vector<RepositorySummary>> all(const Store& store);
  /// What a repository has: by tag, then those without one by age.
  [[nodiscard]] Result<std::vector<RepositoryEntry>> entries(std::string_view repository) const;
  /// A tag, and with the last tag of a manifest the manifest, with what of it nothing else of the repository names:
  /// entries of an index, and the links of blobs. kNotFound.
  [[nodiscard]] Result<Removed> drop_tag(std::string_view repository, std::string_view tag);
  /// A manifest likewise, with its tags. kFailedPrecondition when an index of the repository names it.
  [[nodiscard]] Result<Removed> drop_manifest(std::string_view repository, const oci::Digest& digest);
  /// All of a repository, its unfinished uploads too: who still writes to one is told that there is none.
  [[nodiscard]] Result<Removed> drop_repository(std::string_view repository);

  /// Makes sure that a blob of `bytes` fits before it is written under the lease, with gc where the store's limit needs
  /// it; kResourceExhausted when it does not. Others may take the room meanwhile: it is not kept.
  [[nodiscard]] Status make_room(const Lease& lease, std::int64_t bytes) const;

  [[nodiscard]] Result<Upload> begin_upload(std::string_view repository);
  /// kNotFound when the repository has none of this id, or its bytes went with a process that was killed while it made
  /// them a blob; kAborted while another object or process has it open. Bytes that are there already are hashed again.
  [[nodiscard]] Result<Upload> open_upload(std::string_view repository, std::string_view id);
  /// Ends an upload, whoever has it open: who still writes to it is told that there is none when it closes. False when
  /// the repository has none of this id.
  [[nodiscard]] Result<bool> drop_upload(std::string_view repository, std::string_view id);

 private:
  Store* store_;
  std::string scope_;
};

/// An open upload. Ending the object keeps the session, whatever it has: open_upload() goes on.
class [[nodiscard]] Upload {
 public:
  Upload(Upload&&) noexcept;
  Upload& operator=(Upload&&) noexcept;
  ~Upload();
  [[nodiscard]] const std::string& id() const;  ///< 32 hexadecimal digits
  [[nodiscard]] std::int64_t size() const;      ///< bytes so far
  /// After an error the session is of no use any more, except of kResourceExhausted before a byte was written.
  [[nodiscard]] Status write(std::string_view bytes);
  /// Between requests: notes the size, and lets another process go on with the session.
  void rest();
  /// After rest(): the right to write again, behind what others have added meanwhile. kNotFound when the session is
  /// over, kAborted while another process writes.
  [[nodiscard]] Status resume();
  /// Notes the size for those who count the store's bytes; call it when a part has come.
  [[nodiscard]] Status save();
  /// Verifies, makes durable, links; the session is over. On failure too: the bytes are dropped. kNotFound when
  /// somebody has removed the upload or the repository.
  [[nodiscard]] Result<Blob> commit(const Expected& expected);
  [[nodiscard]] Status drop();

 private:
  friend class Repositories;
  struct State;
  explicit Upload(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace slipway::store
