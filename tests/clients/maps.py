"""WMS documents against OGC's schemas (1.3.0) and document types (1.1.1), and GDAL, which reads WMS and XYZ."""

import importlib.util
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request

from lxml import etree as xml

BASE, FIELD = sys.argv[1:]
# a package that has OGC's documents with it
SCHEMAS = pathlib.Path(importlib.util.find_spec("mapproxy").submodule_search_locations[0], "test/schemas/wms")
ORDERS = {
    "1.3.0": lambda kind: xml.XMLSchema(xml.parse(SCHEMAS / f"1.3.0/{kind}_1_3_0.xsd")),
    "1.1.1": lambda kind: xml.DTD(str(SCHEMAS / f"1.1.1/{kind.replace('exceptions', 'exception')}_1_1_1.dtd")),
}


def get(path):
    try:
        with urllib.request.urlopen(BASE + path) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        return error.read()


def document(version, kind, query):
    """An answer that is valid."""
    text = get(f"/wms?SERVICE=WMS&VERSION={version}&{query}")
    root = xml.fromstring(text)
    order = ORDERS[version](kind)
    assert order.validate(root), f"{version} {kind}: {order.error_log}\n{text.decode()}"
    return root


for version in ORDERS:
    root = document(version, "capabilities", "REQUEST=GetCapabilities")
    assert root.attrib["version"] == version
    space = "{http://www.opengis.net/wms}" if version == "1.3.0" else ""
    capability = root.find(f"{space}Capability")
    for query in ("REQUEST=GetMap&LAYERS=nobody:t", "REQUEST=GetFeature", "REQUEST=GetMap&LAYERS=made-up-planet:t&WIDTH=%26%3C"):
        document(version, "exceptions", query)
    names = [name.text for name in capability.findall(f".//{space}Layer/{space}Name")]
    assert "made-up-planet:t" in names and "made-up-planet:ws" in names, names
    kind = "Dimension" if version == "1.3.0" else "Extent"
    found = {element.attrib["name"]: element for element in capability.iter(f"{space}{kind}")}
    assert set(found) == {"time", "reference_time", "elevation"}
    assert found["time"].text.split(",")[1] == "2001-01-01T06:00:00Z"
    assert found["elevation"].attrib["default"] == "500"
    link = capability.find(f".//{space}LegendURL/{space}OnlineResource").attrib["{http://www.w3.org/1999/xlink}href"]
    assert urllib.request.urlopen(link).headers["content-type"] == "image/png"
print("capabilities and exceptions of both versions are valid")

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
