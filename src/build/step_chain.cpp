#include "build/step_chain.hpp"

#include <openssl/evp.h>
#include <sys/stat.h>

#include "base/text.hpp"
#include "oci/digest.hpp"
#include "sys/file.hpp"

namespace slipway::build {

struct StepChain::Stage {
  std::mutex mutex;
  std::string base;  // of an image
  StepChain below;   // or of a stage
  std::vector<Part> parts;
  bool missed = false;
};

StepChain StepChain::begin(std::string base) {
  StepChain out;
  out.stage_ = std::make_shared<Stage>();
  out.stage_->base = std::move(base);
  return out;
}

StepChain StepChain::begin(const StepChain& stage) {
  StepChain out;
  if (!stage) return out;
  out.stage_ = std::make_shared<Stage>();
  out.stage_->below = stage;
  return out;
}

void StepChain::add(std::vector<std::string> words, Files files) {
  if (!stage_) return;
  const std::lock_guard lock(stage_->mutex);
  stage_->parts.resize(length_);
  stage_->parts.push_back({std::move(words), std::move(files), false, std::nullopt});
  ++length_;
}

void StepChain::add_open(std::vector<std::string> words) {
  add(std::move(words));
  if (!stage_) return;
  const std::lock_guard lock(stage_->mutex);
  stage_->parts.back().open = true;
}

void StepChain::tell(std::vector<std::string> files) const {
  if (!stage_ || length_ == 0) return;
  const std::lock_guard lock(stage_->mutex);
  stage_->parts[length_ - 1].known = std::move(files);
}

void StepChain::missed() const {
  if (!stage_) return;
  const std::lock_guard lock(stage_->mutex);
  stage_->missed = true;
}

bool StepChain::has_missed() const {
  if (!stage_) return true;
  const std::lock_guard lock(stage_->mutex);
  return stage_->missed;
}

/// What the instructions of this stage add; false when it is not known.
Result<bool> StepChain::append(std::string& text, const Cancel& cancel) const {
  for (std::size_t i = 0; i < length_; ++i) {
    const std::lock_guard lock(stage_->mutex);
    Part& part = stage_->parts[i];
    if (!part.known) {
      if (part.open) return false;
      part.known = part.files ? TRY(part.files(cancel)) : std::vector<std::string>();
    }
    for (const auto* words : {&part.words, &*part.known})
      for (const auto& word : *words) text += "-" + word;
  }
  return true;
}

Result<std::optional<std::string>> StepChain::key(const Cancel& cancel) const {
  if (!stage_) return std::nullopt;
  std::vector<StepChain> stages{*this};  // this one first; a file may have thousands upon each other
  while (stages.back().stage_->below) {
    const StepChain below = stages.back().stage_->below;
    stages.push_back(below);
  }
  std::string text = stages.back().stage_->base;
  for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage) {
    if (!TRY(stage->append(text, cancel))) return std::nullopt;
    // a stage without instructions has no final key of its own in kaniko: what it stands on goes on
    text = oci::Digest::of(text).hex();
  }
  return text;
}

std::string go_mode_text(unsigned mode) {
  std::string out;
  switch (mode & S_IFMT) {
    case S_IFDIR:
      out = "d";
      break;
    case S_IFLNK:
      out = "L";
      break;
    case S_IFBLK:
      out = "D";
      break;
    case S_IFCHR:
      out = "D";
      break;
    case S_IFIFO:
      out = "p";
      break;
    case S_IFSOCK:
      out = "S";
      break;
    default:
      break;
  }
  if ((mode & S_ISUID) != 0) out += 'u';
  if ((mode & S_ISGID) != 0) out += 'g';
  if ((mode & S_IFMT) == S_IFCHR) out += 'c';
  if ((mode & S_ISVTX) != 0) out += 't';
  if (out.empty()) out = "-";
  for (int bit = 8; bit >= 0; --bit) out += (mode >> bit & 1) != 0 ? "xwr"[bit % 3] : '-';
  return out;
}

namespace {

std::string base36(std::uint64_t number) {
  std::string out;
  do {
    out.insert(out.begin(), "0123456789abcdefghijklmnopqrstuvwxyz"[number % 36]);
    number /= 36;
  } while (number != 0);
  return out;
}

class Md5 {
 public:
  Md5() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_.get(), EVP_md5(), nullptr); }
  void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string finish() {
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), out, &size);
    return hex({reinterpret_cast<const char*>(out), size});
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

void add_metadata(Md5& hash, const struct stat& info) {
  hash.add(go_mode_text(info.st_mode));
  hash.add(base36(info.st_uid));
  hash.add(",");
  hash.add(base36(info.st_gid));
}

/// kaniko's CacheHasher of what is no directory.
Result<std::string> file_hash(const Tree::Directory& parent, const std::string& name, const Tree::Found& found,
                              const Cancel& cancel) {
  Md5 hash;
  add_metadata(hash, found.info);
  if (S_ISREG(found.info.st_mode)) {
    const sys::Fd file = TRY(parent.dir.open_child(name, found));
    std::string buffer(256 * 1024, '\0');
    while (const std::size_t got = TRY(sys::read_some(file.get(), buffer.data(), buffer.size()))) {
      TRY(cancel.check());
      hash.add({buffer.data(), got});
    }
  } else if (S_ISLNK(found.info.st_mode)) {
    hash.add(TRY(parent.dir.read_link(name, found)));
  }
  return hash.finish();
}

std::string directory_hash(const struct stat& info) {
  Md5 hash;
  add_metadata(hash, info);
  return hash.finish();
}

/// kaniko's hashDir: the directory, then what is below, as filepath.Walk goes.
Result<std::string> tree_key(const Tree& tree, const Tree::Resolved& at, const Cancel& cancel) {
  oci::Hasher hash(oci::Algorithm::kSha256);
  Tree::Directory top = at.path.empty() ? tree.root() : TRY(tree.open_directory(at));
  hash.update(directory_hash(TRY(sys::stat_fd(top.dir.top(), at.path))));
  struct Level {
    Tree::Directory directory;
    std::vector<layer::MergedDir::Child> children;
    std::size_t next = 0;
  };
  std::vector<Level> levels;
  auto children = TRY(tree.list(top));
  levels.push_back({std::move(top), std::move(children)});
  while (!levels.empty()) {
    TRY(cancel.check());
    Level& level = levels.back();
    if (level.next == level.children.size()) {
      levels.pop_back();
      continue;
    }
    const auto child = level.children[level.next++];
    if (!S_ISDIR(child.found.info.st_mode)) {
      hash.update(TRY(file_hash(level.directory, child.name, child.found, cancel)));
      continue;
    }
    hash.update(directory_hash(child.found.info));
    Tree::Directory below{TRY(level.directory.dir.enter(child.name)), join_path(level.directory.path, child.name)};
    auto inside = TRY(tree.list(below));
    levels.push_back({std::move(below), std::move(inside)});
  }
  const std::string digest = hash.finish().text();
  return digest.substr(digest.find(':') + 1);
}

}  // namespace

Result<std::vector<std::string>> kaniko_file_keys(const Tree& tree, const std::vector<std::string>& patterns,
                                                  const Cancel& cancel) {
  std::vector<std::string> keys;
  for (const auto& pattern : patterns) {
    for (const auto& path : TRY(tree.glob(pattern))) {
      const Tree::Resolved at = TRY(tree.resolve(path, FollowLast::kNo));
      const bool directory = at.path.empty() || (at.found && S_ISDIR(at.found->info.st_mode));
      if (directory) {
        keys.push_back(TRY(tree_key(tree, at, cancel)));
      } else if (at.found && at.parent) {
        keys.push_back(oci::Digest::of(TRY(file_hash(*at.parent, at.name(), *at.found, cancel))).hex());
      }
    }
  }
  return keys;
}

}  // namespace slipway::build
