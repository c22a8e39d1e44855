#include "build/open_context.hpp"

#include <climits>
#include <cstdlib>
#include <mutex>

#include "base/text.hpp"
#include "dockerfile/ignore.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

/// Found inside the root: a link of a foreign context can not show a file of the host in an error's excerpt.
Result<std::optional<std::string>> read_inside(const std::string& root, const std::string& name) {
  const sys::Fd directory = TRY(sys::open(root, O_RDONLY | O_DIRECTORY));
  const auto file = sys::open_in_root(directory.get(), name, O_RDONLY | O_NONBLOCK);
  if (!file) {
    if (file.error().sys_errno() == ENOENT || file.error().sys_errno() == ENOTDIR) return std::nullopt;
    return std::unexpected(file.error());
  }
  if (!S_ISREG(TRY(sys::stat_fd(file->get(), name)).st_mode))
    return fail(Code::kInvalidArgument, "{} is not a file", quoted(name));
  return TRY(context(sys::read_all(file->get(), dockerfile::kIgnoreLimit), "while reading {}", quoted(name)));
}

/// The matcher, asked by path. A tree is read a directory at a time and each of its paths is asked for more than once,
/// so that what is above a path is rarely judged again. Thread safe.
class PathJudge {
 public:
  explicit PathJudge(dockerfile::Matcher matcher) : matcher_(std::move(matcher)) {}
  bool excluded(const std::string& path) { return matcher_.excluded(judge(path)); }
  bool prunable(const std::string& path) { return matcher_.can_prune(judge(path), path); }

 private:
  struct Judged {
    std::string path;
    dockerfile::Verdict verdict = dockerfile::Matcher::root();
  };

  dockerfile::Verdict judge(const std::string& path) {
    const std::lock_guard lock(mutex_);
    if (path == last_.path) return last_.verdict;
    const std::size_t slash = path.rfind('/');
    const std::string_view above = std::string_view(path).substr(0, slash == std::string::npos ? 0 : slash);
    if (above != directory_.path) directory_ = {std::string(above), from_root(above)};
    last_ = {path, matcher_.judge(directory_.verdict, path)};
    return last_.verdict;
  }

  dockerfile::Verdict from_root(std::string_view path) const {
    dockerfile::Verdict verdict = dockerfile::Matcher::root();
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
      verdict = matcher_.judge(verdict, path.substr(0, slash));
    return path.empty() ? verdict : matcher_.judge(verdict, path);
  }

  const dockerfile::Matcher matcher_;
  std::mutex mutex_;
  Judged last_, directory_;  // an empty path is the root
};

std::optional<Filter> filter_of(dockerfile::Matcher matcher) {
  if (matcher.empty()) return std::nullopt;
  auto judge = std::make_shared<PathJudge>(std::move(matcher));
  return Filter{.excluded = [judge](const std::string& path) { return judge->excluded(path); },
                .prunable = [judge](const std::string& path) { return judge->prunable(path); }};
}

}  // namespace

Result<std::shared_ptr<Context>> open_tree(store::Store& store, const std::string& directory,
                                           std::optional<IgnoreFile> own) {
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(directory.c_str(), nullptr), &::free);
  if (!real) return fail_errno("cannot open the build context {}", quoted(directory));
  const std::string root = real.get();
  if (!own) {
    constexpr std::string_view kName = ".dockerignore";
    if (auto text = TRY(read_inside(root, std::string(kName)))) own = IgnoreFile{std::string(kName), *std::move(text)};
  }
  std::optional<Filter> filter;
  if (own) filter = filter_of(TRY(dockerfile::Matcher::parse(own->text, own->name)));
  auto merged = layer::MergedDir::open_paths({root}, layer::MergedDir::Kind::kPlain);
  if (!merged) return std::unexpected(std::move(merged).error().add_context("while opening the build context"));
  auto sums = TRY(FileSums::open(store, root));
  return std::make_shared<Context>(Context{Tree(*std::move(merged), std::move(filter)), std::move(sums)});
}

}  // namespace slipway::build
