// The style sheet of the reports.
#pragma once

namespace winnow {

extern const char* const kReportStyle;

}  // namespace winnow
