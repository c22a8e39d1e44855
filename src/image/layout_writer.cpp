// save_layout: images as an OCI layout in a directory (image-spec image-layout.md). What is there already is the
// user's: it is read with the limits of foreign documents and through no link.
#include <sys/file.h>
#include <sys/random.h>

#include <algorithm>

#include "base/text.hpp"
#include "image/save_plan.hpp"
#include "sys/file.hpp"

namespace slipway::image {
namespace {

constexpr int kLockPollMs = 20;
constexpr const char* kRefName = "org.opencontainers.image.ref.name";

class Layout {
 public:
  static Result<Layout> open(const std::string& directory) {
    TRY(sys::make_directories(directory, 0755));
    sys::Fd root = TRY(sys::open(directory, O_RDONLY | O_DIRECTORY));
    for (const char* folder : {"blobs", "blobs/sha256"})
      if (::mkdirat(root.get(), folder, 0755) < 0 && errno != EEXIST)
        return fail_errno("cannot create {}/{}", printable(directory), folder);
    sys::Fd blobs = TRY(context(sys::open_beneath(root.get(), "blobs/sha256", O_RDONLY | O_DIRECTORY),
                                "while opening the layout {}", printable(directory)));
    return Layout(directory, std::move(root), std::move(blobs));
  }

  /// The entries of its index.json; none when there is none.
  [[nodiscard]] Result<std::vector<oci::Descriptor>> entries() const {
    const auto file = sys::open_beneath(root_.get(), "index.json", O_RDONLY | O_NONBLOCK);
    if (!file && file.error().code() == Code::kNotFound) return std::vector<oci::Descriptor>();
    if (!file) return std::unexpected(file.error());
    const auto text = TRY(
        context(sys::read_all(file->get(), oci::kManifestLimit), "while reading {}/index.json", printable(directory_)));
    const auto index = TRY(context(oci::Index::parse(text, ""), "while reading {}/index.json", printable(directory_)));
    return index.manifests();
  }

  [[nodiscard]] Status add(const store::Store& store, const store::Blob& blob, const Cancel& cancel) const {
    const std::string name = blob.digest.hex();
    if (TRY(holds(name, blob, cancel))) return {};
    return write(blobs_.get(), name, 0444,
                 [&](const layer::Target& target) { return copy_blob(store, blob, target, cancel); });
  }

  [[nodiscard]] Status put(const std::string& name, const std::string& text) const {
    return write(root_.get(), name, 0644, [&](const layer::Target& target) { return target(text); });
  }

  /// Until the object dies, no other command of ours changes the index. A file system that has no such locks (some of
  /// the network) goes without.
  [[nodiscard]] Status lock(const Cancel& cancel) const {
    while (::flock(root_.get(), LOCK_EX | LOCK_NB) < 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return {};
      TRY(cancel.check());
      (void)cancel.wait_for(kLockPollMs);
    }
    return {};
  }

  /// Makes the names durable.
  [[nodiscard]] Status sync() const {
    TRY(sys::sync(blobs_.get(), directory_ + "/blobs/sha256"));
    return sys::sync(root_.get(), directory_);
  }

 private:
  Layout(std::string directory, sys::Fd root, sys::Fd blobs)
      : directory_(std::move(directory)), root_(std::move(root)), blobs_(std::move(blobs)) {}

  /// Whether the blob is there and whole.
  [[nodiscard]] Result<bool> holds(const std::string& name, const store::Blob& blob, const Cancel& cancel) const {
    const auto there = TRY(sys::lstat_at(blobs_.get(), name));
    if (!there || !S_ISREG(there->st_mode) || there->st_size != blob.size) return false;
    const auto file = TRY(sys::open_beneath(blobs_.get(), name, O_RDONLY));
    std::vector<char> buffer(256 * 1024);
    oci::Hasher hasher;
    while (const std::size_t got = TRY(sys::read_some(file.get(), buffer.data(), buffer.size()))) {
      TRY(cancel.check());
      hasher.update({buffer.data(), got});
    }
    return hasher.finish() == blob.digest;
  }

  Status write(int at, const std::string& name, mode_t mode,
               const std::function<Status(const layer::Target&)>& produce) const {
    std::string random(8, '\0');  // others may write the same blob at the same time
    if (::getrandom(random.data(), random.size(), 0) != std::ssize(random)) return fail_errno("no random bytes");
    const std::string temporary = fmt::format(".{}.{}", name, hex(random));
    const auto work = [&]() -> Status {
      sys::Fd file = TRY(sys::open_at(at, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
      TRY(produce([&](std::string_view bytes) { return sys::write_all(file.get(), bytes); }));
      if (::fchmod(file.get(), mode) < 0) return fail_errno("cannot set the mode of {}", name);
      TRY(sys::sync(file.get(), name));
      TRY(sys::close_checked(std::move(file), name));
      return sys::rename_at(at, temporary, at, name);
    };
    Status done = context(work(), "while writing {} of the layout {}", name, printable(directory_));
    if (!done) (void)sys::unlink_at(at, temporary);
    return done;
  }

  std::string directory_;
  sys::Fd root_, blobs_;
};

std::string tag_of(const oci::Descriptor& entry) {
  const auto found = entry.annotations.find(kRefName);
  return found == entry.annotations.end() ? "" : found->second;
}

/// What is there, without what the new ones stand for: the same tag, or the same image without one.
std::vector<oci::Descriptor> merged(std::vector<oci::Descriptor> there, const std::vector<oci::Descriptor>& added) {
  std::erase_if(there, [&](const oci::Descriptor& old) {
    return std::any_of(added.begin(), added.end(), [&](const oci::Descriptor& entry) {
      const std::string tag = tag_of(entry);
      if (tag_of(old).empty()) return old.digest == entry.digest;
      return tag == tag_of(old);
    });
  });
  there.insert(there.end(), added.begin(), added.end());
  return there;
}

}  // namespace

Status save_layout(store::Store& store, const std::vector<SaveItem>& items, const std::string& directory,
                   const Cancel& cancel) {
  SavePlan plan(store, cancel);
  for (const auto& item : items) TRY(plan.add(item));
  const Layout layout = TRY(Layout::open(directory));
  (void)TRY(layout.entries());  // a file that is none of ours is found before anything is written
  for (const auto& blob : plan.blobs()) TRY(layout.add(store, blob, cancel));
  TRY(layout.put("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  TRY(layout.sync());
  TRY(layout.lock(cancel));
  auto entries = merged(TRY(layout.entries()), plan.entries());
  TRY(layout.put("index.json", oci::Index::make(oci::Family::kOci, std::move(entries)).raw()));
  return layout.sync();
}

}  // namespace slipway::image
