#include "dockerfile/history.hpp"

#include "base/text.hpp"
#include "dockerfile/duration.hpp"

namespace slipway::dockerfile::history {
namespace {

// Go's %v of a list of strings.
std::string list(const std::vector<std::string>& items) { return "[" + join(items, " ") + "]"; }

// Go's %q of a list of strings.
std::string quoted_list(const std::vector<std::string>& items) {
  std::vector<std::string> quoted;
  quoted.reserve(items.size());
  for (const auto& item : items) quoted.push_back(go_quoted(item));
  return list(quoted);
}

std::string pairs_text(std::string_view name, const std::vector<NameValue>& pairs) {
  std::string out(name);
  for (const auto& pair : pairs) out += " " + pair.name + "=" + pair.value;
  return out;
}

}  // namespace

std::string arg(const std::vector<ArgItem>& items) {
  std::string out = "ARG";
  for (const auto& item : items) {
    out += " " + item.name;
    if (item.value) out += "=" + *item.value;
  }
  return out;
}

std::string env(const std::vector<NameValue>& pairs) { return pairs_text("ENV", pairs); }
std::string label(const std::vector<NameValue>& pairs) { return pairs_text("LABEL", pairs); }
std::string cmd(const std::vector<std::string>& argv) { return "CMD " + quoted_list(argv); }
std::string entrypoint(const std::vector<std::string>& argv) { return "ENTRYPOINT " + quoted_list(argv); }
std::string expose(const std::vector<std::string>& ports) { return "EXPOSE " + list(ports); }
std::string volume(const std::vector<std::string>& paths) { return "VOLUME " + list(paths); }
std::string shell(const std::vector<std::string>& shell) { return "SHELL " + list(shell); }
std::string user(std::string_view user) { return fmt::format("USER {}", user); }
std::string workdir(std::string_view absolute_path) { return fmt::format("WORKDIR {}", absolute_path); }
std::string stop_signal(std::string_view signal) { return fmt::format("STOPSIGNAL {}", signal); }
std::string maintainer(std::string_view name) { return fmt::format("MAINTAINER {}", name); }

std::string healthcheck(const Healthcheck& check) {
  return fmt::format("HEALTHCHECK {{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
                     list(check.test), duration_text(check.interval), duration_text(check.timeout),
                     duration_text(check.start_period), duration_text(check.start_interval), check.retries);
}

std::string run(const std::vector<std::string>& args, const std::vector<std::string>& argv) {
  std::string out = "RUN ";
  if (!args.empty()) out += fmt::format("|{} {} ", args.size(), join(args, " "));
  return out + join(argv, " ") + " # buildkit";
}

std::string copy(const Copy& copy) {
  std::string out = copy.add ? "ADD" : "COPY";
  if (copy.parents) out += " --parents";
  if (!copy.chown.empty()) out += " --chown=" + copy.chown;
  if (!copy.chmod.empty()) out += " --chmod=" + copy.chmod;
  for (const auto& source : copy.sources) out += " " + source;
  for (const auto& file : copy.inline_files) out += " <<" + file.name;
  return out + " " + copy.destination + " # buildkit";
}

}  // namespace slipway::dockerfile::history
