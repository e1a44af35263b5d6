"""WMS capabilities against the structure that the schemas of both versions ask for, and GDAL, which reads WMS and XYZ."""

import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

BASE, FIELD = sys.argv[1:]


def get(path):
    with urllib.request.urlopen(BASE + path) as response:
        return response.read()


def order(element, expected, of):
    """Children come in the sequence of the schema."""
    names = [child.tag.split("}")[-1] for child in element]
    known = [name for name in names if name in expected]
    assert known == names, f"{of}: {set(names) - set(expected)} is not known"
    places = [expected.index(name) for name in names]
    assert places == sorted(places), f"{of}: {names}"


LAYER = {
    "1.3.0": "Name Title Abstract KeywordList CRS EX_GeographicBoundingBox BoundingBox Dimension Attribution "
    "AuthorityURL Identifier MetadataURL DataURL FeatureListURL Style MinScaleDenominator MaxScaleDenominator Layer",
    "1.1.1": "Name Title Abstract KeywordList SRS LatLonBoundingBox BoundingBox Dimension Extent Attribution "
    "AuthorityURL Identifier MetadataURL DataURL FeatureListURL Style ScaleHint Layer",
}
SERVICE = "Name Title Abstract KeywordList OnlineResource ContactInformation Fees AccessConstraints"
STYLE = "Name Title Abstract LegendURL StyleSheetURL StyleURL"

for version in ("1.3.0", "1.1.1"):
    root = xml.fromstring(get(f"/wms?SERVICE=WMS&REQUEST=GetCapabilities&VERSION={version}"))
    space = root.tag[: root.tag.index("}") + 1] if "}" in root.tag else ""
    assert root.attrib["version"] == version
    assert space == ("{http://www.opengis.net/wms}" if version == "1.3.0" else "")
    order(root, ["Service", "Capability"], "root")
    limits = " LayerLimit MaxWidth MaxHeight" if version == "1.3.0" else ""
    order(root.find(f"{space}Service"), (SERVICE + limits).split(), "Service")
    capability = root.find(f"{space}Capability")
    order(capability, ["Request", "Exception", "Layer"], "Capability")
    for layer in capability.iter(f"{space}Layer"):
        order(layer, LAYER[version].split(), "Layer")
        assert layer.find(f"{space}Title").text
        for style in layer.findall(f"{space}Style"):
            order(style, STYLE.split(), "Style")
    names = [name.text for name in capability.findall(f".//{space}Layer/{space}Name")]
    assert "made-up-planet:t" in names and "made-up-planet:ws" in names, names
    kind = "Dimension" if version == "1.3.0" else "Extent"
    found = {element.attrib["name"]: element for element in capability.iter(f"{space}{kind}")}
    assert set(found) == {"time", "reference_time", "elevation"}
    assert found["time"].text.split(",")[1] == "2001-01-01T06:00:00Z"
    assert found["elevation"].attrib["default"] == "500"
    link = capability.find(f".//{space}LegendURL/{space}OnlineResource").attrib["{http://www.w3.org/1999/xlink}href"]
    assert urllib.request.urlopen(link).headers["content-type"] == "image/png"
print("capabilities of both versions")

if not shutil.which("gdalinfo"):
    print("skipped: there is no gdalinfo (Debian's package gdal-bin)")
    sys.exit(0)


def gdal(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


found = gdal("gdalinfo", f"WMS:{BASE}/wms")
assert "made-up-planet:t" in urllib.parse.unquote(found), found
with tempfile.TemporaryDirectory() as folder:
    wms = f"{folder}/wms.xml"
    with open(wms, "w") as file:
        file.write(
            f"<GDAL_WMS><Service name='WMS'><Version>1.3.0</Version><ServerUrl>{BASE}/wms?TIME=2001-01-01T06:00:00Z&amp;"
            "</ServerUrl><Layers>made-up-planet:t</Layers><CRS>EPSG:4326</CRS><BBoxOrder>yxYX</BBoxOrder>"
            "<ImageFormat>image/png</ImageFormat></Service><DataWindow><UpperLeftX>-180</UpperLeftX>"
            "<UpperLeftY>90</UpperLeftY><LowerRightX>180</LowerRightX><LowerRightY>-90</LowerRightY><SizeX>512</SizeX>"
            "<SizeY>256</SizeY></DataWindow><BandsCount>3</BandsCount></GDAL_WMS>"
        )
    xyz = f"{folder}/xyz.xml"
    with open(xyz, "w") as file:
        file.write(
            f"<GDAL_WMS><Service name='TMS'><ServerUrl>{BASE}/tiles/{FIELD}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>"
            "<DataWindow><UpperLeftX>-20037508.34</UpperLeftX><UpperLeftY>20037508.34</UpperLeftY>"
            "<LowerRightX>20037508.34</LowerRightX><LowerRightY>-20037508.34</LowerRightY><TileLevel>3</TileLevel>"
            "<TileCountX>1</TileCountX><TileCountY>1</TileCountY><YOrigin>top</YOrigin></DataWindow>"
            "<Projection>EPSG:3857</Projection><BlockSizeX>256</BlockSizeX><BlockSizeY>256</BlockSizeY>"
            "<BandsCount>4</BandsCount></GDAL_WMS>"
        )
    for source in (wms, xyz):
        target = f"{source}.tif"
        gdal("gdal_translate", "-outsize", "256", "0", source, target)
        statistics = gdal("gdalinfo", "-stats", target)
        deviation = float(statistics.split("STATISTICS_STDDEV=")[1].split()[0])
        assert deviation > 1, statistics
print("GDAL reads WMS and XYZ")
