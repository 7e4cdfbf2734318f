module mapiscope

go 1.26
