// Last on every page.
startTheme();
startTables();
if (typeof startExplorer === "function") startExplorer();
if (typeof startTokens === "function") startTokens();
startFigures();
addEventListener("hashchange", unfold);
unfold();
