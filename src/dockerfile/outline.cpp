#include "dockerfile/outline.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "dockerfile/check_walk.hpp"

namespace slipway::dockerfile {
namespace {

std::string description_of(const Source& source, const std::string& name) {
  for (const auto& comment : source.comments)
    if (!name.empty() && comment.starts_with(name + " ")) return comment.substr(name.size() + 1);
  return {};
}

class Outliner {
 public:
  Outliner(const File& file, Walked walked) : file_(file), walked_(std::move(walked)) {
    for (const auto& arg : walked_.globals.all()) {
      auto& latest = globals_[arg.item->name];
      std::vector<std::string> uses = arg.uses;
      // a default that uses the former value of its own name needs what that one needed
      if (latest.arg != nullptr && std::ranges::find(uses, arg.item->name) != uses.end())
        uses.insert(uses.end(), latest.uses.begin(), latest.uses.end());
      std::ranges::sort(uses);
      uses.erase(std::ranges::unique(uses).begin(), uses.end());
      latest = {&arg, std::move(uses)};
    }
  }

  Outline run() {
    std::vector<std::size_t> pending{walked_.target};
    std::set<std::size_t> seen;
    while (!pending.empty()) {  // the target first: it decides on values when several stages have a name
      const std::size_t stage = pending.back();
      pending.pop_back();
      if (!seen.insert(stage).second) continue;
      const StageRecord& record = walked_.records[stage];
      add(record);
      pending.insert(pending.end(), record.sources.begin(), record.sources.end());
      if (record.base) pending.push_back(*record.base);
    }
    const Stage& target = file_.stages[walked_.target];
    out_.name = target.name;
    out_.description = description_of(target.from.source, target.name);
    const auto line = [](const auto& one) { return one.range.first_line; };
    std::ranges::stable_sort(out_.args, {}, line);
    std::ranges::stable_sort(out_.secrets, {}, line);
    std::ranges::stable_sort(out_.ssh, {}, line);
    return std::move(out_);
  }

 private:
  struct Global {
    const GlobalArg* arg = nullptr;
    std::vector<std::string> uses;
  };

  void add(const StageRecord& record) {
    for (auto arg = record.args.rbegin(); arg != record.args.rend(); ++arg) {  // the last of a name counts
      if (arg->from_global) {
        add_global(arg->name);
      } else {
        add_arg(arg->name, arg->value, *arg->source);
      }
    }
    for (const auto& name : record.used) add_global(name);
    for (const auto& seen : record.mounts) add(seen);
  }

  void add_arg(const std::string& name, const std::optional<std::string>& value, const Source& source) {
    if (args_.insert(name).second)
      out_.args.push_back({name, value.value_or(""), description_of(source, name), source.range});
  }

  void add_global(const std::string& name) {
    std::vector<std::string> pending{name};
    std::set<std::string> seen;
    while (!pending.empty()) {
      const std::string next = pending.back();
      pending.pop_back();
      const auto found = globals_.find(next);
      if (found == globals_.end() || !seen.insert(next).second) continue;
      const Global& global = found->second;
      add_arg(next, global.arg->value, *global.arg->source);
      pending.insert(pending.end(), global.uses.begin(), global.uses.end());
    }
  }

  void add(const SeenMount& seen) {
    const Mount& mount = seen.mount;
    if (mount.type == Mount::Type::kSsh) {
      const std::string id = mount.id.empty() ? "default" : mount.id;
      if (ssh_.insert(id).second) out_.ssh.push_back({id, mount.required, seen.source->range});
      return;
    }
    std::string id = !mount.source.empty() ? mount.source : mount.id;
    if (id.empty()) id = mount.target.substr(mount.target.rfind('/') + 1);
    if (secrets_.insert(id).second) out_.secrets.push_back({id, mount.required, seen.source->range});
  }

  const File& file_;
  const Walked walked_;
  std::map<std::string, Global> globals_;
  std::set<std::string> args_, secrets_, ssh_;
  Outline out_;
};

}  // namespace

Result<Outline> outline(const File& file, const CheckFacts& facts) {
  const CheckOptions nothing{.skip_all = true};
  Collector collector(nothing);
  Walked walked = walk(file, facts, collector, KeepRecords::kYes);
  if (walked.error) return std::unexpected(*std::move(walked.error));
  return Outliner(file, std::move(walked)).run();
}

std::vector<Target> targets(const File& file) {
  std::vector<Target> out;
  for (const auto& stage : file.stages) {
    const Source& source = stage.from.source;
    out.push_back({.name = stage.name,
                   .description = description_of(source, stage.name),
                   .base = stage.from.image,
                   .platform = stage.from.platform,
                   .range = source.range});
  }
  if (!out.empty()) out.back().is_default = true;
  return out;
}

}  // namespace slipway::dockerfile
