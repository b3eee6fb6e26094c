// Last on every page.
startTheme();
startTables();
if (typeof startExplorer === "function") startExplorer();
startFigures();
addEventListener("hashchange", unfold);
unfold();
