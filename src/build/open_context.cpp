#include "build/open_context.hpp"

#include <climits>
#include <cstdlib>

#include "base/text.hpp"
#include "dockerfile/ignore.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

Result<std::optional<std::string>> read_if_there(const std::string& path) {
  auto text = sys::read_file(path, dockerfile::kIgnoreLimit);
  if (text) return *std::move(text);
  if (text.error().sys_errno() == ENOENT || text.error().sys_errno() == ENOTDIR) return std::nullopt;
  return std::unexpected(std::move(text).error());
}

dockerfile::Verdict judge(const dockerfile::Matcher& matcher, const std::string& path) {
  dockerfile::Verdict verdict = dockerfile::Matcher::root();
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    verdict = matcher.judge(verdict, std::string_view(path).substr(0, slash));
  return matcher.judge(verdict, path);
}

std::optional<Filter> filter_of(dockerfile::Matcher matcher) {
  if (matcher.empty()) return std::nullopt;
  auto shared = std::make_shared<const dockerfile::Matcher>(std::move(matcher));
  return Filter{
      .excluded = [shared](const std::string& path) { return shared->excluded(judge(*shared, path)); },
      .prunable = [shared](const std::string& path) { return shared->can_prune(judge(*shared, path), path); }};
}

}  // namespace

Result<std::shared_ptr<Context>> open_context(store::Store& store, const std::string& directory,
                                              const std::string& dockerfile) {
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(directory.c_str(), nullptr), &::free);
  if (!real) return fail_errno("cannot open the build context {}", quoted(directory));
  const std::string root = real.get();
  std::string name = dockerfile + ".dockerignore";
  auto text = TRY(read_if_there(name));
  if (!text) {
    name = root + "/.dockerignore";
    text = TRY(read_if_there(name));
  }
  std::optional<Filter> filter;
  if (text) filter = filter_of(TRY(dockerfile::Matcher::parse(*text, name.substr(name.rfind('/') + 1))));
  auto merged = layer::MergedDir::open_paths({root}, layer::MergedDir::Kind::kPlain);
  if (!merged) return std::unexpected(std::move(merged).error().add_context("while opening the build context"));
  return std::make_shared<Context>(
      Context{Tree(*std::move(merged), std::move(filter)), TRY(FileSums::open(store, root))});
}

}  // namespace slipway::build
