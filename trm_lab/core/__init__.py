"What everything else stands on: errors, files, runs, processes."
