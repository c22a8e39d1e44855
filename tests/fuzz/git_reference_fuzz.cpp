// Fuzz target: how a repository is named; nothing of it may become an option of the git program.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "build/git_reference.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  using namespace slipway::build;
  (void)GitReference::names_one(text);
  (void)check_git_checksum(text);
  const auto git = GitReference::parse(std::string(text));
  if (!git) return git.error().what().empty() ? std::abort(), 0 : 0;
  for (const std::string* argument : {&git->remote, &git->ref, &git->checksum}) {
    if (argument->starts_with('-') || argument->contains('\0') || argument->contains('\n')) std::abort();
  }
  if (git->remote.empty()) std::abort();
  if (git->ref.starts_with('+') || git->ref.contains(':')) std::abort();
  if (git->scheme != "http" && git->scheme != "https" && git->scheme != "git" && git->scheme != "ssh") std::abort();
  return 0;
}
