#include "dockerfile/expand_instruction.hpp"

#include <initializer_list>

namespace slipway::dockerfile {
namespace {

Status expand_in_place(std::initializer_list<std::string*> texts, char escape, const Lookup& lookup) {
  for (std::string* text : texts) *text = TRY(expand_word(*text, escape, lookup));
  return {};
}

Status expand_in_place(std::vector<std::string>& texts, char escape, const Lookup& lookup) {
  for (std::string& text : texts) text = TRY(expand_word(text, escape, lookup));
  return {};
}

Status expand_in_place(std::vector<NameValue>& pairs, char escape, const Lookup& lookup) {
  for (NameValue& pair : pairs) TRY(expand_in_place({&pair.name, &pair.value}, escape, lookup));
  return {};
}

Status check_from(const Copy& copy, char escape) {
  const auto plain = TRY(expand_word(copy.from, escape, [](std::string_view) { return std::nullopt; }));
  if (plain == copy.from) return {};
  return fail(
      Code::kInvalidArgument,
      "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
      "as a workaround");
}

}  // namespace

Result<From> expanded(const From& from, char escape, const Lookup& lookup) {
  From out = from;
  TRY(expand_in_place({&out.image, &out.platform}, escape, lookup));
  return out;
}

Result<ArgItem> expanded(const ArgItem& item, char escape, const Lookup& lookup) {
  ArgItem out = item;
  TRY(expand_in_place({&out.name}, escape, lookup));
  if (out.value) TRY(expand_in_place({&*out.value}, escape, lookup));
  return out;
}

Result<Env> expanded(const Env& env, char escape, const Lookup& lookup) {
  Env out = env;
  TRY(expand_in_place(out.pairs, escape, lookup));
  return out;
}

Result<Label> expanded(const Label& label, char escape, const Lookup& lookup) {
  Label out = label;
  TRY(expand_in_place(out.pairs, escape, lookup));
  return out;
}

Result<Copy> expanded(const Copy& copy, char escape, const Lookup& lookup) {
  TRY(check_from(copy, escape));
  Copy out = copy;
  TRY(expand_in_place(out.sources, escape, lookup));
  TRY(expand_in_place(out.excludes, escape, lookup));
  TRY(expand_in_place({&out.destination, &out.chown, &out.chmod, &out.checksum}, escape, lookup));
  for (InlineFile& file : out.inline_files)
    if (file.expand) file.content = TRY(expand_body(file.content, lookup));
  return out;
}

Result<Workdir> expanded(const Workdir& workdir, char escape, const Lookup& lookup) {
  Workdir out = workdir;
  TRY(expand_in_place({&out.path}, escape, lookup));
  return out;
}

Result<User> expanded(const User& user, char escape, const Lookup& lookup) {
  User out = user;
  TRY(expand_in_place({&out.user}, escape, lookup));
  return out;
}

Result<Expose> expanded(const Expose& expose, char escape, const Lookup& lookup) {
  Expose out = expose;
  out.ports.clear();
  for (const auto& port : expose.ports)
    for (auto& word : TRY(expand_words(port, escape, lookup))) out.ports.push_back(std::move(word));
  return out;
}

Result<Volume> expanded(const Volume& volume, char escape, const Lookup& lookup) {
  Volume out = volume;
  TRY(expand_in_place(out.paths, escape, lookup));
  return out;
}

Result<StopSignal> expanded(const StopSignal& signal, char escape, const Lookup& lookup) {
  StopSignal out = signal;
  TRY(expand_in_place({&out.signal}, escape, lookup));
  return out;
}

}  // namespace slipway::dockerfile
