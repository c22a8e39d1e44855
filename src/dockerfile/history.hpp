// History: the `created_by` texts of an image's history, as BuildKit writes them (spec section 8).
//
// Everything is given expanded and normalised: the frontend knows values, this file knows the wording. Steps that make
// a layer end in ` # buildkit`, except WORKDIR; --from, --link, --exclude and mounts are not shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dockerfile/instruction.hpp"

namespace slipway::dockerfile::history {

[[nodiscard]] std::string arg(const std::vector<ArgItem>& items);            ///< ARG k=v k2
[[nodiscard]] std::string env(const std::vector<NameValue>& pairs);          ///< ENV k=v k2=v 2
[[nodiscard]] std::string label(const std::vector<NameValue>& pairs);        ///< LABEL k=v
[[nodiscard]] std::string cmd(const std::vector<std::string>& argv);         ///< CMD ["a" "b"]
[[nodiscard]] std::string entrypoint(const std::vector<std::string>& argv);  ///< ENTRYPOINT ["a" "b"]
[[nodiscard]] std::string expose(const std::vector<std::string>& ports);     ///< EXPOSE [80/tcp 53/udp]
[[nodiscard]] std::string volume(const std::vector<std::string>& paths);     ///< VOLUME [/a /b]
[[nodiscard]] std::string shell(const std::vector<std::string>& shell);      ///< SHELL [/bin/sh -c]
[[nodiscard]] std::string user(std::string_view user);                       ///< USER x
[[nodiscard]] std::string workdir(std::string_view absolute_path);           ///< WORKDIR /abs
[[nodiscard]] std::string stop_signal(std::string_view signal);              ///< STOPSIGNAL x
[[nodiscard]] std::string maintainer(std::string_view name);                 ///< MAINTAINER x
/// HEALTHCHECK {Test:[CMD-SHELL x] Interval:0s Timeout:3s StartPeriod:0s StartInterval:0s Retries:0}
[[nodiscard]] std::string healthcheck(const Healthcheck& check);
/// RUN |2 A=1 B= /bin/sh -c cmd # buildkit. `args` are the declared ARGs as NAME=value (empty value when they have
/// none), `argv` what is executed, the shell included.
[[nodiscard]] std::string run(const std::vector<std::string>& args, const std::vector<std::string>& argv);
/// COPY --chown=app a <<NAME /dir/ # buildkit, from an expanded COPY or ADD.
[[nodiscard]] std::string copy(const Copy& copy);

}  // namespace slipway::dockerfile::history
