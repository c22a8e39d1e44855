#include "image/layout_directory.hpp"

#include <cstdlib>
#include <functional>
#include <memory>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::image {
namespace {

constexpr std::string_view kName = "org.opencontainers.image.ref.name";
constexpr std::int64_t kVersionLimit = 4096;

std::string path_of(const oci::Digest& digest) {
  return fmt::format("blobs/{}/{}", digest.algorithm() == oci::Algorithm::kSha256 ? "sha256" : "sha512", digest.hex());
}

bool is_called(const oci::Descriptor& descriptor, const std::string& tag) {
  const auto name = descriptor.annotations.find(std::string(kName));
  return name != descriptor.annotations.end() && (name->second == tag || name->second.ends_with(":" + tag));
}

/// That a file's bytes were verified: "<directory> <digest>" → which file it was. As for the sums of contexts, what is
/// another file by these marks is read again; whoever wrote the right bytes into this one had them.
constexpr std::string_view kVerified = "blob of a layout";

Result<std::string> marks_of(int file, const std::string& path) {
  const auto facts = TRY(sys::stat_fd(file, path));
  return fmt::format("{} {} {} {}.{} {}.{}", facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtim.tv_sec,
                     facts.st_mtim.tv_nsec, facts.st_ctim.tv_sec, facts.st_ctim.tv_nsec);
}

/// O_NONBLOCK: a fifo must not be waited for.
Result<sys::Fd> open_plain(int root, const std::string& path) {
  auto file = TRY(sys::open_beneath(root, path, O_RDONLY | O_NONBLOCK));
  const auto facts = TRY(sys::stat_fd(file.get(), path));
  if (!S_ISREG(facts.st_mode)) return fail(Code::kInvalidArgument, "{} is no plain file", path);
  return file;
}

/// All of `file`, which must have `size` bytes, to `to`.
Status read_through(int file, const std::string& path, std::int64_t size, const Cancel& cancel,
                    const std::function<Status(std::string_view)>& to) {
  std::string buffer(256 * 1024, '\0');
  std::int64_t left = size;
  while (const std::size_t got = TRY(sys::read_some(file, buffer.data(), buffer.size()))) {
    TRY(cancel.check());
    left -= static_cast<std::int64_t>(got);
    if (left < 0) return fail(Code::kDataLoss, "{} has more than {} bytes", path, size);
    TRY(to({buffer.data(), got}));
  }
  if (left > 0) return fail(Code::kDataLoss, "{} has {} bytes, not {}", path, size - left, size);
  return {};
}

/// That the bytes of `file` are the blob's.
Status check(int file, const oci::Digest& digest, std::int64_t size, const Cancel& cancel) {
  oci::Hasher hasher(digest.algorithm());
  TRY(read_through(file, path_of(digest), size, cancel, [&](std::string_view bytes) -> Status {
    hasher.update(bytes);
    return {};
  }));
  if (const auto got = hasher.finish(); got != digest)
    return fail(Code::kDataLoss, "blob {} is broken: its bytes are {}", digest.text(), got.text());
  return {};
}

/// The blob that `file` is, into the store.
Result<store::Blob> take_from(int file, store::Store& store, const store::Lease& lease,
                              const oci::Descriptor& descriptor, const Cancel& cancel) {
  if (const auto here = TRY(store.acquire_blob(lease, descriptor.digest))) {
    TRY(check(file, descriptor.digest, descriptor.size, cancel));
    return *here;
  }
  auto writer = TRY(store.write_blob(lease));
  TRY(read_through(file, path_of(descriptor.digest), descriptor.size, cancel,
                   [&](std::string_view bytes) { return writer.write(bytes); }));
  return writer.commit({.digest = descriptor.digest, .size = descriptor.size});
}

}  // namespace

Result<LayoutDirectory> LayoutDirectory::open(const std::string& path) {
  sys::Fd root = TRY(sys::open(path, O_RDONLY | O_DIRECTORY));
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
  if (!real) return fail_errno("cannot find out where {} is", quoted(path, 300));
  return LayoutDirectory(path, store::Origin::folder(real.get()), std::move(root));
}

Result<std::string> LayoutDirectory::index_bytes() const {
  auto file = open_plain(root_->get(), "index.json");
  if (!file && file.error().code() == Code::kNotFound) {
    return std::unexpected(
        Error(Code::kInvalidArgument, fmt::format("{} is no OCI layout: it has no index.json", quoted(path_, 300)))
            .with_hint("an archive of images is expected, or the directory of an OCI layout"));
  }
  if (!file) return std::unexpected(std::move(file).error());
  return sys::read_all(file->get(), oci::kManifestLimit);
}

Result<std::string> LayoutDirectory::version_bytes() const {
  auto file = open_plain(root_->get(), "oci-layout");
  if (!file && file.error().code() == Code::kNotFound) return std::string();
  if (!file) return std::unexpected(std::move(file).error());
  return sys::read_all(file->get(), kVersionLimit);
}

bool LayoutDirectory::has(const oci::Digest& digest) const {
  return open_plain(root_->get(), path_of(digest)).has_value();
}

Result<sys::Fd> LayoutDirectory::open_blob(const oci::Descriptor& descriptor) const {
  const std::string path = path_of(descriptor.digest);
  auto file = open_plain(root_->get(), path);
  if (!file && file.error().code() == Code::kNotFound)
    return fail(Code::kNotFound, "the layout lacks blob {}", descriptor.digest.text());
  if (!file) return file;
  const auto facts = TRY(sys::stat_fd(file->get(), path));
  if (facts.st_size != descriptor.size)
    return fail(Code::kDataLoss, "blob {} is {} bytes, its descriptor says {}", descriptor.digest.text(), facts.st_size,
                descriptor.size);
  return file;
}

Result<store::Blob> LayoutDirectory::take(store::Store& store, const store::Lease& lease,
                                          const oci::Descriptor& descriptor, const Cancel& cancel) const {
  const sys::Fd file = TRY(open_blob(descriptor));
  return take_from(file.get(), store, lease, descriptor, cancel);
}

std::string LayoutDirectory::fact_key(const oci::Digest& digest) const {
  return fmt::format("{} {}", origin_.repository, digest.text());
}

Result<bool> LayoutDirectory::shows(store::Store& store, const store::Blob& blob) const {
  const std::string path = path_of(blob.digest);
  const auto file = open_plain(root_->get(), path);
  if (!file) return false;
  const std::string marks = TRY(marks_of(file->get(), path));
  if (const auto verified = TRY(store.recall(kVerified, fact_key(blob.digest))); verified == marks) return true;
  if (!check(file->get(), blob.digest, blob.size, Cancel())) return false;
  TRY(store.remember(kVerified, fact_key(blob.digest), marks));
  return true;
}

Result<store::Blob> LayoutDirectory::bring(store::Store& store, const store::Lease& lease,
                                           const oci::Descriptor& descriptor, const Cancel& cancel) const {
  const sys::Fd file = TRY(open_blob(descriptor));
  const auto here = TRY(store.acquire_blob(lease, descriptor.digest));
  if (here && TRY(shows(store, *here))) return *here;
  const std::string marks = TRY(marks_of(file.get(), path_of(descriptor.digest)));  // before its bytes are read
  const store::Blob blob = TRY(take_from(file.get(), store, lease, descriptor, cancel));
  TRY(store.remember(kVerified, fact_key(descriptor.digest), marks));
  return blob;
}

Result<bool> folder_shows(store::Store& store, const store::Origin& folder, const store::Blob& blob) {
  const auto layout = LayoutDirectory::open(folder.repository);
  return layout && TRY(layout->shows(store, blob));
}

Result<oci::Descriptor> choose(const oci::Index& index, const std::string& tag, const std::string& digest) {
  const auto& all = index.manifests();
  if (!digest.empty()) {
    const oci::Digest wanted = TRY(oci::Digest::parse(digest));
    for (const auto& descriptor : all)
      if (descriptor.digest == wanted) return descriptor;
    return fail(Code::kNotFound, "its index.json does not name {}", wanted.text());
  }
  const std::string wanted = tag.empty() ? "latest" : tag;
  for (const auto& descriptor : all)
    if (is_called(descriptor, wanted)) return descriptor;
  if (tag.empty() && all.size() == 1) return all[0];
  return fail(Code::kNotFound, "it has no image called {}", quoted(wanted, 200));
}

}  // namespace slipway::image
